"""maskcls pretrain: train the backbone on photos without their labels, as a starting point for `train`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

import maskcls
from maskcls import config, files
from maskcls.engine.compute.plan import Execution
from maskcls.engine.device import Accelerator, start, worker_count
from maskcls.engine.fit import stream_seed
from maskcls.errors import DataError
from maskcls.files import OutputFile
from maskcls.machine import refuse_several
from maskcls.nn.network import build_network, load_trunk
from maskcls.nn.simsiam import COLLAPSED, SimSiam
from maskcls.rundir import PretrainedTrunk
from maskcls.runs.checks import check_pretraining
from maskcls.runs.records.pretrained_file import KIND, PretrainedFile
from maskcls.schema import Config
from maskcls.show.terminal.progress import Reporter
from maskcls.show.training.pretraining import ADVICE
from maskcls.training.experiment import view_spec
from maskcls.training.photos import cached_views, open_photos
from maskcls.training.pretraining.loop import PURPOSE, Pretraining, PretrainingPlan, open_pretraining, take_steps
from maskcls.training.pretraining.unlabelled import UnlabelledPhotos, unlabelled_photos
from maskcls.training.starting_weights import people_behind

LEAST_PHOTOS = 8


@dataclass(frozen=True)
class PretrainedResult:
    """What a pretraining made. about: None where it stopped before its end, by its time limit."""

    trunk: Path
    step: int
    steps: int
    about: PretrainedFile | None


def pretrain_trunk(
    data: Path,
    cfg: Config,
    output: Path,
    *,
    epochs: int,
    lr: float,
    minutes: float | None,
    without_fold: int | None,
    force: bool,
    report: Reporter,
) -> PretrainedResult:
    """Pretrain the backbone of a configuration on the train and eval photos, and write its trunk for model.weights.

    The state is kept beside the output until the end; the same command continues from it.
    epochs        number of times that each photo is seen.
    lr            learning rate for 256 images per step.
    minutes       stop cleanly after this time; None: never.
    without_fold  leave out the validation people of this fold.

    Raises BusyError when the output exists, unless `force`, or the state is of another pretraining; DataError for too
    few photos; UsageError in several processes; DivergedError for a loss that is not finite.
    """
    trunk = PretrainedTrunk(output)
    check_pretraining(data, cfg, trunk, force=force)
    accelerator = start(cfg.device)
    refuse_several("a pretraining")
    with report.busy("reading the photos"):
        seen = unlabelled_photos(data, cfg, without_fold=without_fold)
    if len(seen.frame) < LEAST_PHOTOS:
        raise DataError(
            "there are too few photos to pretrain on",
            where=str(data),
            got=str(len(seen.frame)),
            expected=f"at least {LEAST_PHOTOS}",
        )
    network, origin = _network(cfg)
    plan = _plan(cfg, seen, origin, epochs=epochs, lr=lr, without_fold=without_fold)
    running = open_pretraining(network, plan, trunk.state)
    if running.step:
        report.note(f"continuing after step {running.step:,} of {plan.steps:,} ({trunk.state})")
    if not running.is_finished:
        _train(running, seen, cfg, trunk, accelerator, minutes, report)
    if not running.is_finished:
        return PretrainedResult(output, running.step, plan.steps, None)
    about = _write(running, seen, cfg, trunk, origin, without_fold, force=force)
    return PretrainedResult(output, running.step, plan.steps, about)


def _network(cfg: Config) -> tuple[SimSiam, str]:
    """Return the network at its start, and where its trunk comes from: a sha256, `hub` or `random`."""
    torch.manual_seed(stream_seed(cfg.seed, PURPOSE))
    model, size = cfg.model, cfg.transforms.size
    network = build_network(model.trunk, {}, size=size, pretrained=model.pretrained, drop_path=model.drop_path)
    if model.weights:
        load_trunk(network, Path(model.weights))
    origin = files.file_sha256(Path(model.weights)) if model.weights else "hub" if model.pretrained else "random"
    with torch.no_grad():
        features: Tensor = network.trunk.eval()(torch.zeros(1, 3, *size))
    return SimSiam(network.trunk, features.shape[1]), origin


def _plan(
    cfg: Config, seen: UnlabelledPhotos, origin: str, *, epochs: int, lr: float, without_fold: int | None
) -> PretrainingPlan:
    batch = min(cfg.train.batch_size, len(seen.frame))
    spec = view_spec(cfg)
    facts = [maskcls.__version__, str(cfg.model.trunk), cfg.model.drop_path, repr(spec), origin, seen.sha256]
    facts += [without_fold, epochs, lr, batch, cfg.seed]
    identity = files.sha256(json.dumps(facts).encode())
    return PretrainingPlan(epochs, batch, len(seen.frame), lr, cfg.seed, identity)


def _train(
    running: Pretraining,
    seen: UnlabelledPhotos,
    cfg: Config,
    trunk: PretrainedTrunk,
    accelerator: Accelerator,
    minutes: float | None,
    report: Reporter,
) -> None:
    spec, paths, plan = view_spec(cfg), seen.frame["path"].tolist(), running.plan
    views = cached_views(seen.root, paths, [spec], cfg, accelerator, report)
    photos = open_photos(seen.root, seen.frame, [spec], views, seed=cfg.seed)
    on_gpu = accelerator.device.type == "cuda"
    what = f"pretraining {cfg.model.trunk} on {len(paths):,} photos, {plan.steps:,} steps"
    report.note(what)

    def show(line: dict[str, float]) -> None:
        report.note(f"epoch {len(running.history)}/{plan.epochs}  loss {line['loss']:.4f}  spread {line['spread']:.3f}")
        if line["spread"] < COLLAPSED:
            report.once(f"warning: {ADVICE}")

    precision = cfg.device.precision if cfg.device.precision != "auto" else "bf16" if on_gpu else "fp32"
    take_steps(
        running,
        photos,
        trunk.state,
        device=accelerator.device,
        execution=Execution(precision, "channels_last"),
        workers=worker_count(cfg.device, accelerator, cached=bool(views)),
        save_minutes=cfg.train.save_minutes,
        minutes=minutes,
        on_images=lambda done: report.images(what, done, plan.steps * plan.batch),
        on_epoch=show,
    )


def _write(
    running: Pretraining,
    seen: UnlabelledPhotos,
    cfg: Config,
    trunk: PretrainedTrunk,
    origin: str,
    without_fold: int | None,
    *,
    force: bool,
) -> PretrainedFile:
    tensors = {name: value.detach().cpu().contiguous() for name, value in running.network.trunk.state_dict().items()}
    content, plan, history = save(tensors), running.plan, running.history
    started = {member.model.weights for member in [cfg, *config.members(cfg).values()]} - {None}
    labelled = sorted(set().union(*(people_behind(Path(str(file))) for file in started)))
    about = PretrainedFile(
        kind=KIND,
        file=trunk.path.name,
        sha256=files.sha256(content),
        maskcls=maskcls.__version__,
        backbone=cfg.model.backbone,
        options=dict(cfg.model.options),
        size=cfg.transforms.size,
        people=seen.people,
        eval_photos=seen.eval,
        labelled_people=tuple(labelled),
        without_fold=without_fold,
        start=origin,
        photos_sha256=seen.sha256,
        photos=len(seen.frame),
        epochs=plan.epochs,
        batch=plan.batch,
        lr=plan.lr,
        seed=plan.seed,
        loss=tuple(line["loss"] for line in history),
        spread=tuple(line["spread"] for line in history),
        collapsed=history[-1]["spread"] < COLLAPSED,
    )
    sidecar = files.json_bytes(files.with_digest(about.to_json()))
    files.commit_outputs([OutputFile(trunk.about, sidecar, _is_ours), OutputFile(trunk.path, content)], force=force)
    trunk.state.unlink(missing_ok=True)
    return about


def _is_ours(found: bytes) -> bool:
    """Tell whether the file beside a trunk that is not there was left by a killed pretraining."""
    try:
        data = json.loads(found)
    except ValueError:
        return False
    return isinstance(data, dict) and data.get("kind") == KIND
