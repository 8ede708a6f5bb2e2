"""Does an exported ONNX file predict what torch predicts, and how fast is it?

    python benchmarks/onnx_export.py pixels [--photos 400]
    python benchmarks/onnx_export.py families [--photos 96] [--only NAME ...]
    python benchmarks/onnx_export.py run RUN [--photos 1000] [--file FILE]
    python benchmarks/onnx_export.py speed RUN [--photos 64] [--repeats 7] [--file FILE]

pixels    the cropped and resized photos alone, in onnxruntime, against cv2.resize: random noise, half of it blurred, of
          random sizes: smaller, larger, larger on one side, of the size of the result, and a multiple of it.
families  timm backbones of different kinds with random weights. So that outputs vary between photos, batch norms get
          statistics of images, and heads are scaled to the spread of the features. Photos are smooth noise of random
          sizes from 32 to 400 pixels per side.
run       a finished run, exported (to --file, or read from there), on photos of its own table.
speed     photos per CPU second of `predict` with torch and with onnxruntime, both on one thread, on the same decoded
          photos, taking turns: the ratio of each repetition. CPU seconds do not count the time of other programs.

Printed: largest difference of a joint probability, photos that get another joint class, and the number of classes that
occur. "torch in float32": the largest difference between torch in float32 and the same network in float64.
"""

from __future__ import annotations

import argparse
import copy
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from maskcls import config
from maskcls.backbone import Backbone
from maskcls.commands.export import EXACT, check_photos_of, export
from maskcls.data.views.transforms import ViewSpec, eval_view
from maskcls.engine.compute.plan import Execution
from maskcls.engine.device import normalise, start
from maskcls.engine.infer import Predictor, joint_probabilities, prepare
from maskcls.engine.tta import views_of
from maskcls.export.graph_resize import crop_and_resize
from maskcls.export.onnx_file import OPSET, onnx_bytes, to_onnx
from maskcls.export.onnx_model import onnx_model, open_onnx
from maskcls.export.whole_model import EXAMPLE, whole_model
from maskcls.labels import CONTEST
from maskcls.nn.heads import plain_heads
from maskcls.nn.network import Network, build_network
from maskcls.results.comparison.parity import Parity, compare_predictions
from maskcls.results.photo_model import Photo
from maskcls.rundir import RunDir
from maskcls.show.terminal.progress import Reporter
from maskcls.training.experiment import view_spec
from maskcls.training.predicting.loaded_networks import LoadedNetwork
from maskcls.training.predicting.run_model import RunModel, open_run_model

FAMILIES: dict[str, tuple[int, int]] = {  # (height, width): small, and one that the backbone takes
    "resnet18": (96, 72),
    "mobilenetv4_conv_small": (128, 96),
    "efficientnet_b0": (96, 72),
    "convnext_atto": (96, 72),
    "vit_tiny_patch16_224": (96, 80),
    "deit3_small_patch16_224": (64, 64),
    "swin_tiny_patch4_window7_224": (112, 112),
    "coatnet_pico_rw_224": (96, 96),
    "fastvit_t8": (96, 64),
    "levit_128s": (224, 224),
}


def noise_photos(count: int, rng: np.random.Generator) -> list[Photo]:
    """Smooth noise of random sizes, with a random mean and contrast per photo."""
    photos = []
    for _ in range(count):
        height, width = (int(side) for side in rng.integers(32, 401, 2))
        smooth = cv2.GaussianBlur(rng.normal(size=(height, width, 3)), (0, 0), float(rng.uniform(0.5, 12)))
        spread = rng.uniform(20, 80) / (smooth.std() + 1e-9)
        photos.append((rng.uniform(60, 190, 3) + spread * smooth).clip(0, 255).astype(np.uint8))
    return photos


def lively(network: Network, size: tuple[int, int], seed: int) -> Network:
    """Give a random network outputs that vary between images: statistics in the norms, heads scaled to the features."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
                module.momentum = 1.0
        images = torch.randn(16, 3, *size, generator=rng)
        images = images.cumsum(2).cumsum(3) / 40 + images * torch.rand(16, 1, 1, 1, generator=rng)
        network.train().trunk(images)  # the norms take the statistics of these images
        features = network.eval().trunk(images)
        for head in network.heads.values():
            weight = torch.randn(head.weight.shape, generator=rng)
            logits = (features - features.mean(0)) @ weight.T
            head.weight.copy_(2 * weight / logits.std())
            head.bias.copy_(-(head.weight @ features.mean(0)))
    return network


def random_model(backbone: str, size: tuple[int, int]) -> RunModel:
    """Return a run model of one random network, as `open_run_model` returns it."""
    words = [f"model.backbone={backbone}", f"transforms.size=[{size[0]}, {size[1]}]", "predict.views=hflip", *EXACT]
    words += ["transforms.mean=[0.485, 0.456, 0.406]", "transforms.std=[0.229, 0.224, 0.225]"]
    cfg, _ = config.load(None, words)
    torch.manual_seed(0)
    network = lively(build_network(Backbone(backbone), plain_heads("multi", CONTEST), size=size), size, seed=1)
    predictor = Predictor(network, CONTEST, view_spec(cfg))
    accelerator, execution = start(cfg.device), Execution(memory_format="contiguous")
    return RunModel(
        cfg,
        [LoadedNetwork("", 0, 0, "", predictor)],
        [prepare(predictor, accelerator, execution)],
        accelerator,
        execution,
    )


def compared(model: RunModel, exported: Any, photos: Sequence[Photo]) -> tuple[Parity, int]:
    """Compare the two on photos; returns also the number of joint classes that occur."""
    parts = [photos[i : i + 64] for i in range(0, len(photos), 64)]
    want = np.concatenate([model.predict(part) for part in parts])
    got = [exported.run(part) for part in parts]
    decided = model.decide(want)
    prob, chosen = (np.concatenate(arrays) for arrays in zip(*got, strict=True))
    return compare_predictions(want, decided, prob, chosen), len(np.unique(decided))


def families(count: int, only: Sequence[str]) -> None:
    photos = noise_photos(count, np.random.default_rng(0))
    print("| backbone | size | photos | max difference | torch in float32 | other class | classes | export, s |")
    print("|---|---|---|---|---|---|---|---|")
    for backbone in only or FAMILIES:
        size, began = FAMILIES[backbone], time.monotonic()
        model = random_model(backbone, size)
        data = onnx_bytes(to_onnx(whole_model(model)), facts_of(model))
        seconds = time.monotonic() - began
        parity, classes = compared(model, onnx_model(data, where=backbone, threads=1), photos)
        rounding = np.abs(in_float64(model, photos) - np.concatenate([model.predict([one]) for one in photos])).max()
        shown = f"{parity.max_dp:.1e} | {rounding:.1e} | {parity.decisions} | {classes} | {seconds:.0f}"
        print(f"| `{backbone}` | {size[0]} x {size[1]} | {parity.photos} | {shown} |", flush=True)


@torch.no_grad()
def in_float64(model: RunModel, photos: Sequence[Photo]) -> NDArray[np.float32]:
    """Return the probabilities of a model of one network with all its products and sums in float64."""
    (predictor,) = model.ready
    exact, spec = copy.deepcopy(predictor.network).double(), predictor.spec
    rows = []
    for photo in photos:
        pixels = torch.from_numpy(eval_view(photo, spec))[None]
        images = normalise(pixels, mean=spec.mean, std=spec.std, execution=model.execution)
        images = torch.cat([view(images) for view in views_of(model.cfg.predict.views)]).double()
        rows.append(joint_probabilities(exact(images), exact.specs, model.space).mean(0, keepdims=True))
    return np.concatenate(rows)


class Resize(nn.Module):
    """Crop and resize alone."""

    def __init__(self, spec: ViewSpec) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, photos: Tensor) -> Tensor:
        return crop_and_resize(photos, crop=self.spec.crop, centre=self.spec.crop_centre, size=self.spec.size)


def pixels(count: int) -> None:
    rng = np.random.default_rng(0)
    print("| crop, size | values | different | largest difference |\n|---|---|---|---|")
    for crop, centre, size in (((1.0, 1.0), (0.5, 0.5), (96, 72)), ((0.8, 0.65), (0.45, 0.5), (224, 168))):
        spec = replace(view_spec(config.load(None, [])[0]), crop=crop, crop_centre=centre, size=size)
        session = resize_session(spec)
        differences = [0, 0, 0]
        for place in range(count):
            photo = random_photo(rng, size, place)
            found, want = session.run(None, {"photos": photo[None]})[0][0], eval_view(photo, spec)
            gap = np.abs(found - want)
            differences = [
                differences[0] + gap.size,
                differences[1] + int((gap > 0).sum()),
                max(differences[2], gap.max()),
            ]
        print(f"| {crop}, {size} | {differences[0]:,} | {differences[1]:,} | {differences[2]} |", flush=True)


def random_photo(rng: np.random.Generator, size: tuple[int, int], place: int) -> Photo:
    """Return noise of the size of the result, of a multiple of it, or of any size from 16 to 3 times its height."""
    kinds = [size, tuple(side * int(times) for side, times in zip(size, rng.integers(1, 6, 2), strict=True))]
    height, width = kinds[place % 8] if place % 8 < 2 else (int(side) for side in rng.integers(16, 3 * size[0], 2))
    photo = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.GaussianBlur(photo, (0, 0), 3) if rng.random() < 0.5 else photo


def resize_session(spec: ViewSpec) -> Any:
    sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("height"), 2: torch.export.Dim("width")}
    example = torch.zeros(EXAMPLE, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(Resize(spec), (example,), dynamic_shapes={"photos": sizes}, strict=False)
        exported = torch.onnx.export(
            program, dynamo=True, opset_version=OPSET, input_names=["photos"], output_names=["pixels"], verbose=False
        )
    assert exported is not None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return onnxruntime.InferenceSession(exported.model_proto.SerializeToString(), options)


def facts_of(model: RunModel) -> dict[str, Any]:
    return {"tasks": model.space.to_json(), "decision": None, "decode_size": list(model.decode_size)}


def opened(run: Path, file: Path) -> RunModel:
    """Export the run to the file unless it is there, and open the run with torch."""
    with Reporter() as report:
        if not file.exists():
            export(RunDir(run), file, report=report)
        return open_run_model(RunDir(run), [*EXACT, "device.threads=1"], report=report)


def finished_run(run: Path, file: Path, count: int) -> None:
    model, exported = opened(run, file), open_onnx(file, threads=1)
    parity, classes = compared(model, exported, check_photos_of(RunDir(run), model, count))
    print(f"{parity.photos} photos: max difference {parity.max_dp:.1e}, {parity.decisions} other, {classes} classes")


def speed(run: Path, file: Path, count: int, repeats: int) -> None:
    plain, exported = opened(run, file), open_onnx(file, threads=1)
    with Reporter() as report:
        wanted = ["device.type=cpu", "device.precision=fp32", "device.memory_format=channels_last", "device.threads=1"]
        last = open_run_model(RunDir(run), wanted, report=report)
    photos = check_photos_of(RunDir(run), plain, count)
    torch.set_num_threads(1)
    models = {"torch, contiguous": plain, "torch, channels_last": last, "onnxruntime": exported}
    for model in models.values():
        model.predict(photos)
    times = np.array([[_seconds(model.predict, photos) for model in models.values()] for _ in range(repeats)])
    for name, seconds in zip(models, times.T, strict=True):
        ratios = seconds / times[:, -1]
        spread = f"onnxruntime {np.median(ratios):.2f} times as fast, {ratios.min():.2f} to {ratios.max():.2f}"
        print(f"{name}: {count / np.median(seconds):.1f} photos per CPU second; {spread}")


def _seconds(predict: Callable[[Sequence[Photo]], object], photos: Sequence[Photo]) -> float:
    began = time.process_time()
    predict(photos)
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["pixels", "families", "run", "speed"])
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--photos", type=int)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--only", nargs="+", default=[])
    given = parser.parse_args()
    if given.what == "pixels":
        pixels(given.photos or 400)
    elif given.what == "families":
        families(given.photos or 96, given.only)
    elif given.run is None:
        parser.error("name a run")
    with TemporaryDirectory() as folder:
        file = given.file or Path(folder) / "model.onnx"
        if given.what == "run":
            finished_run(given.run, file, given.photos or 1000)
        elif given.what == "speed":
            speed(given.run, file, given.photos or 64, given.repeats)


if __name__ == "__main__":
    main()
