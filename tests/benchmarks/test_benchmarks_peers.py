"""The benchmark scripts: what they run, in which order, and the arithmetic of their ratios. No timing is asserted."""

from __future__ import annotations

import doctest
import importlib
import json
import subprocess
import sys
from argparse import ArgumentTypeError
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from project import BENCHMARKS_DIR

BENCHMARKS = BENCHMARKS_DIR
SCRIPTS = ("alternate", "photos", "bare", "step", "first_epoch", "peer", "data", "predict")
TINY = (32, 24)


@pytest.fixture(scope="module")
def scripts() -> SimpleNamespace:
    """Import the scripts as they import each other, and take their names back: tests have a `photos` of their own."""
    before = {name: sys.modules.pop(name) for name in SCRIPTS if name in sys.modules}
    sys.path.insert(0, str(BENCHMARKS))
    try:
        loaded = {name: importlib.import_module(name) for name in SCRIPTS}  # names written above
    finally:
        sys.path.remove(str(BENCHMARKS))
        for name in SCRIPTS:
            sys.modules.pop(name, None)
        sys.modules.update(before)
    return SimpleNamespace(**loaded)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small wait longer for a second thread than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def small_set(scripts: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make 10 people on 70 photos of 64 x 48 pixels, and 5 photos to predict; tests must not write there."""
    root: Path = scripts.photos.ensure_photos(
        tmp_path_factory.mktemp("synthetic") / "set", scripts.photos.Order(64, 5, height=64, width=48)
    )
    return root


def test_examples_in_docstrings(scripts: SimpleNamespace) -> None:
    modules = [module for module in vars(scripts).values() if isinstance(module, ModuleType)]
    results = [doctest.testmod(module) for module in modules]

    assert len(modules) == len(SCRIPTS)
    assert sum(r.attempted for r in results) >= 10
    assert [r.failed for r in results] == [0] * len(SCRIPTS)


def test_every_script_says_how_to_run_and_to_read_it(scripts: SimpleNamespace) -> None:
    for name in SCRIPTS:
        words = getattr(scripts, name).__doc__
        assert "\nRead  " in words, name
        assert name == "alternate" or f"\nRun       python benchmarks/{name}.py" in words, name


# --- alternate.py


def contestants(scripts: SimpleNamespace, calls: list[str], **figures: float) -> list[Any]:
    def run(name: str) -> dict[str, Any]:
        calls.append(name)
        return {"speed": figures[name]}

    return [scripts.alternate.Contestant(name, lambda name=name: run(name)) for name in figures]


def test_rounds_go_there_and_back(scripts: SimpleNamespace) -> None:
    calls: list[str] = []
    told: list[str] = []

    rounds = scripts.alternate.alternate(contestants(scripts, calls, a=1.0, b=2.0, c=3.0), 3, told.append)

    assert "".join(calls) == "abccbaabc"
    assert [{name: record["speed"] for name, record in one.items()} for one in rounds] == [{"a": 1, "b": 2, "c": 3}] * 3
    assert len(told) == 9
    assert all(record["own_cores"] >= 0 <= record["other_cores"] for one in rounds for record in one.values())


def test_the_reference_runs_before_and_after_every_run(scripts: SimpleNamespace) -> None:
    calls: list[str] = []
    bare, ours = contestants(scripts, calls, r=1.0, m=2.0)

    runs = scripts.alternate.between(bare, ours, 2, lambda _: None)

    assert "".join(calls) == "rmrmr"
    assert runs[0].after is runs[1].before
    assert [run.middle["speed"] for run in runs] == [2.0, 2.0]


def test_ratios_are_formed_within_a_round(scripts: SimpleNamespace) -> None:
    rounds = [{"a": {"s": a}, "b": {"s": b}} for a, b in ((10.0, 5.0), (30.0, 10.0), (8.0, 8.0), (6.0, 4.0))]

    found = scripts.alternate.ratios(rounds, "a", "b", "s")

    assert found.each == (2.0, 3.0, 1.0, 1.5)
    assert (found.median, found.low, found.high) == (1.75, 1.0, 3.0)


def test_a_process_gives_its_json_lines_and_its_threads(scripts: SimpleNamespace) -> None:
    code = "import os; print('chatter'); print('{\"threads\": %s}' % os.environ['OMP_NUM_THREADS'])"

    record = scripts.alternate.in_process([sys.executable, "-c", code], scripts.alternate.environment(3))

    assert record["threads"] == 3
    assert record["wall_s"] > 0


def test_a_failed_process_stops_the_measurement(scripts: SimpleNamespace) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('the reason')"]

    with pytest.raises(scripts.alternate.ContestantError, match="ended with 1:\nthe reason"):
        scripts.alternate.in_process(command, scripts.alternate.environment(1))


FAKE = """
import json, pathlib, sys, time
assert sys.argv[1:3] == ["train", "DATA"] and sys.argv[5:] == ["--folds", "0", "train.epochs=2"], sys.argv
run = pathlib.Path(sys.argv[4])
(run / "fold0").mkdir(parents=True)
(run / "folds.csv").write_text("id,person,fold\\na,p,0\\nb,q,1\\nc,r,2\\nd,p,0\\ne,s,1\\n")
for epoch in range(2):
    time.sleep(0.3)
    line = json.dumps({"epoch": epoch, "images_per_second": 50.0 * (epoch + 1), "seconds": 4.0 - epoch})
    with (run / "fold0" / "log.jsonl").open("a") as log:
        log.write(line + "\\n")
time.sleep(0.3)
sys.exit(int((run.parent / "fails").exists()))
"""


def test_a_training_run_is_read_as_it_goes(
    scripts: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fake.py").write_text(FAKE)
    monkeypatch.setattr(scripts.alternate, "MASKCLS", (sys.executable, str(tmp_path / "fake.py")))
    env = scripts.alternate.environment(1)

    found = scripts.alternate.maskcls_train(Path("DATA"), tmp_path / "run", ["train.epochs=2"], env)

    assert (found["train_images"], found["valid_images"]) == (3, 2)
    assert (found["images_per_second"], found["epoch_s"]) == (100.0, 3.0)
    first_s, second_s = found["line_s"]
    assert found["first_s"] == first_s >= 0.3
    assert found["epoch_wall_s"] == pytest.approx(second_s - first_s)
    assert second_s < found["wall_s"]

    (tmp_path / "fails").touch()
    with pytest.raises(scripts.alternate.ContestantError, match="ended with 1"):
        scripts.alternate.maskcls_train(Path("DATA"), tmp_path / "other", ["train.epochs=2"], env)


def test_the_record_names_machine_and_versions_and_no_paths(scripts: SimpleNamespace, tmp_path: Path) -> None:
    settings = scripts.alternate.settings_of(SimpleNamespace(rounds=2, photos=tmp_path, size=[1, 2]))

    scripts.alternate.write_record(
        tmp_path / "r.json", threads=2, settings=settings, raw=[1.5], found={"x": scripts.alternate.spread([2.0, 4.0])}
    )

    record = json.loads((tmp_path / "r.json").read_text())
    assert record["settings"] == {"rounds": 2, "size": [1, 2]}
    assert record["raw"] == [1.5]
    assert record["ratios"] == {"x": {"median": 3.0, "low": 2.0, "high": 4.0, "each": [2.0, 4.0]}}
    assert record["machine"]["packages"].keys() >= {"maskcls", "torch", "timm", "pillow"}
    assert record["machine"]["processor"]
    assert str(tmp_path) not in json.dumps(record)


# --- photos.py


def test_photos_are_the_same_every_time_and_differ_from_each_other(
    scripts: SimpleNamespace, small_set: Path, tmp_path: Path
) -> None:
    order = scripts.photos.Order(64, 5, height=64, width=48)
    again = scripts.photos.ensure_photos(tmp_path / "again", order)

    files = sorted(path.relative_to(small_set) for path in small_set.rglob("*.*"))
    contents = [(small_set / name).read_bytes() for name in files]
    assert len(files) == 70 + 5 + 3
    assert contents == [(again / name).read_bytes() for name in files]
    assert len(set(contents)) == len(files)


def test_photos_made_otherwise_are_not_taken_for_these(scripts: SimpleNamespace, small_set: Path) -> None:
    before = (small_set / "photos.json").stat().st_mtime_ns
    scripts.photos.ensure_photos(small_set, scripts.photos.Order(64, 5, height=64, width=48))
    assert (small_set / "photos.json").stat().st_mtime_ns == before

    with pytest.raises(FileExistsError, match="other photos"):
        scripts.photos.ensure_photos(small_set, scripts.photos.Order(64, 5, height=64, width=48, seed=1))


def test_labels_follow_the_layout(scripts: SimpleNamespace, small_set: Path) -> None:
    found = list(scripts.photos.train_files(small_set))

    assert len(found) == 70
    assert all(path.is_file() for path, _ in found)
    assert [labels[0] for _, labels in found[:7]] == [0, 0, 0, 0, 0, 1, 2]
    # Person 3: the second man; ages go on after every pair.
    assert found[14][0].parent.name == "000003_male_drawn_45"
    assert found[14][1] == (0, 0, 1)
    assert {labels[1:] for _, labels in found} == {(g, a) for g in range(2) for a in range(3)}
    assert len(scripts.photos.eval_files(small_set)) == 5


# --- bare.py


def test_the_bare_loop_runs_in_every_setting(scripts: SimpleNamespace) -> None:
    bare = scripts.bare
    task = bare.Task("test_resnet", "multi", TINY, 2)

    assert len(bare.SETTINGS) == 4
    for kind in ("train", "infer"):
        speeds = bare.probe(task, kind)
        assert speeds.keys() == {str(setting) for setting in bare.SETTINGS}
        assert list(speeds.values()) == sorted(speeds.values(), reverse=True)


def test_the_bare_loop_counts_its_steps_and_takes_the_fastest_setting(
    scripts: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = scripts.bare
    monkeypatch.setattr(bare, "probe", lambda task, kind: {"contiguous-bf16": 9.0, "channels_last-fp32": 1.0})

    found = bare.measure(bare.Task("test_resnet", "joint", TINY, 3), "train", None, warmup=1, steps=2)

    assert found["train_setting"] == "contiguous-bf16"
    assert len(found["train_step_s"]) == 2
    assert found["train_images_per_s"] == pytest.approx(6 / sum(found["train_step_s"]))


def test_a_bare_step_trains(scripts: SimpleNamespace) -> None:
    bare = scripts.bare
    task = bare.Task("test_resnet", "multi", TINY, 2)
    setting = bare.parse_setting("channels_last-fp32")
    networks: list[Any] = []

    class Watched(bare.Task):  # type: ignore[name-defined, misc]
        def network(self, setting: Any) -> Any:
            networks.append(super().network(setting))
            return networks[-1]

    bare.train_step(Watched("test_resnet", "multi", TINY, 2), setting)()

    fresh = task.network(setting).state_dict()
    changed = [name for name, tensor in networks[0].state_dict().items() if not tensor.equal(fresh[name])]
    assert {"heads.mask.weight", "heads.gender.bias", "heads.age.weight"} <= set(changed)
    assert any(name.startswith("trunk.") for name in changed)


def test_an_unknown_setting_is_refused(scripts: SimpleNamespace) -> None:
    with pytest.raises(ArgumentTypeError, match="channels_last-fp32"):
        scripts.bare.parse_setting("channels_last-fp16")


# --- step.py


def test_shares_of_the_bare_speed(scripts: SimpleNamespace) -> None:
    """800 trained images and 200 x 2 passes take 8 + 1 s before and 10 + 2 s after: 10.5 s on average."""
    before = {"train_images_per_s": 100.0, "infer_images_per_s": 400.0}
    after = {"train_images_per_s": 80.0, "infer_images_per_s": 200.0}
    ours = {"train_images": 800, "valid_images": 200, "images_per_second": 60.0}
    ours |= {"epoch_s": 15.0, "epoch_wall_s": 21.0, "first_s": 42.0}

    found = scripts.step.shares(scripts.alternate.Between(before, ours, after), views=2, start_up_s=7.0)

    assert found == pytest.approx(
        {
            "epoch": 0.7,
            "epoch + saving": 0.5,
            "training alone": 0.675,  # a bare image takes 11.25 ms on average, one of ours 16.67 ms
            "start + epoch 1": 0.25,
            "epoch 1": 0.3,
        }
    )


def test_what_is_measured_reaches_the_commands(scripts: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr(
        scripts.step, "maskcls_train", lambda data, run, arguments, env: seen.update(arguments=arguments, env=env) or {}
    )
    words = "--threads 3 --batch 8 --size 40 30 --epochs 4 --views hflip --steps 9 --set device.precision=bf16"
    a = scripts.step.arguments_of(words.split())

    scripts.step.ours(Path("DATA"), "test_vit", a)
    command = " ".join(scripts.step.bare_command("test_vit", a, {"train": "T", "infer": "I"}, a.steps))

    assert a.rounds == 5
    assert seen["arguments"] == [
        *("--config", "multi", "model.backbone=test_vit", "train.epochs=4", "train.batch_size=8"),
        *("transforms.size=[40, 30]", "predict.views=hflip", "device.precision=bf16"),
    ]
    assert seen["env"]["OMP_NUM_THREADS"] == "3"
    assert not Path(seen["env"]["MASKCLS_CACHE"]).exists()
    assert command.endswith(
        "bare.py --backbone test_vit --batch 8 --size 40 30 --threads 3 --steps 9 --setting T --infer-setting I"
    )


# --- peer.py


def test_timm_trains_on_as_many_photos_as_a_fold(scripts: SimpleNamespace, small_set: Path) -> None:
    files = scripts.peer.training_files(small_set)

    people = {path.parent.name[:6] for path, _ in files}
    assert len(files) == 8 * 7
    assert people == {f"{i:06d}" for i in (2, 3, 4, 5, 7, 8, 9, 10)}


@pytest.mark.parametrize("tuned", [False, True])
def test_the_loop_of_timm_runs(scripts: SimpleNamespace, small_set: Path, tuned: bool) -> None:
    task = scripts.bare.Task("test_resnet", "multi", TINY, 16)
    recipe = scripts.peer.Recipe(scripts.bare.parse_setting("channels_last-fp32"), workers=0, tuned=tuned)

    epochs = scripts.peer.timm_epochs(small_set, task, recipe, 2)

    assert [epoch["images"] for epoch in epochs] == [48, 48]  # of 56: the last, short batch is left out
    assert all(np.isfinite(epoch["loss"]) and epoch["seconds"] > 0 for epoch in epochs)


# --- data.py


@pytest.mark.parametrize("name", ["timm", "torchvision", "cv2"])
def test_loaders_make_every_photo_once(scripts: SimpleNamespace, small_set: Path, name: str) -> None:
    files = [path for path, _ in scripts.photos.train_files(small_set)]

    batches = list(scripts.data.LOADERS[name](files, TINY, Path("unused")))

    assert [len(batch) for batch in batches] == [64, 6]
    assert batches[0].shape[1:] == (*TINY, 3)
    assert scripts.data.measure(name, files[:3], TINY)["images_per_second"] > 0


@pytest.mark.parametrize("name", ["timm", "torchvision", "cv2"])
def test_loaders_keep_red_green_and_blue_in_order(scripts: SimpleNamespace, tmp_path: Path, name: str) -> None:
    Image.new("RGB", (48, 64), (210, 120, 30)).save(tmp_path / "orange.jpg")

    (batch_BHWC,) = scripts.data.LOADERS[name]([tmp_path / "orange.jpg"] * 8, TINY, Path("unused"))

    red, green, blue = batch_BHWC.mean((1, 2)).T  # jitter and boxes change colours, but not this much
    assert (red > green).all()
    assert (green > blue).all()


def test_a_cached_loader_has_one_pass_before_the_counted_one(
    scripts: SimpleNamespace, small_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [path for path, _ in scripts.photos.train_files(small_set)]
    found: list[tuple[str, int, bool]] = []

    def load(files: list[Path], size: tuple[int, int], cache: Path) -> Iterator[Any]:
        found.append((cache.name, len(files), cache.exists()))
        cache.mkdir(exist_ok=True)
        yield np.zeros((len(files), *size, 3), dtype=np.uint8)

    monkeypatch.setitem(scripts.data.LOADERS, "ours", load)
    scripts.data.measure("ours cold", files, TINY)
    scripts.data.measure("ours cached", files, TINY)

    assert found[:2] == [("warm-up", 64, False), ("cache", 70, False)]
    assert found[2:] == [("warm-up", 64, False), ("cache", 70, False), ("cache", 70, True)]


def test_a_loader_that_loses_photos_is_not_measured(
    scripts: SimpleNamespace, small_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [path for path, _ in scripts.photos.train_files(small_set)]
    monkeypatch.setitem(
        scripts.data.LOADERS, "ours", lambda files, size, cache: iter([np.zeros((len(files) - 1, *size, 3), np.uint8)])
    )

    with pytest.raises(AssertionError, match="69 images for 70 files"):
        scripts.data.measure("ours cold", files, TINY)


# --- predict.py


def test_shares_of_a_prediction(scripts: SimpleNamespace) -> None:
    """600 photos, 3 networks, 2 views: 6 s + 3 s before, 4 s + 7.2 s after; 10.1 s on average."""
    before = {"decoded_per_s": 100.0, "infer_images_per_s": 1200.0}
    after = {"decoded_per_s": 150.0, "infer_images_per_s": 500.0}
    run = scripts.alternate.Between(before, {"wall_s": 20.2, "again_wall_s": 10.1}, after)

    found = scripts.predict.shares(run, images=600, folds=3, start_up_s=5.05)

    wanted = {"command": 0.5, "again": 1.0, "command, less start": 10.1 / 15.15, "again, less start": 2.0}
    assert found == pytest.approx(wanted)


def test_decoding_is_measured_on_all_photos(scripts: SimpleNamespace, small_set: Path) -> None:
    assert scripts.predict.decode_speed(scripts.photos.eval_files(small_set), 2) > 0


def test_a_prediction_is_made_twice_with_one_cache(
    scripts: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "fake.py"
    fake.write_text(
        "import os, pathlib, sys\n"
        "cache = pathlib.Path(os.environ['MASKCLS_CACHE'])\n"
        "print('120.5 img/s' if cache.exists() else '60 images/s', file=sys.stderr)\n"
        "cache.mkdir(exist_ok=True)\n"
        "pathlib.Path(sys.argv[sys.argv.index('-o') + 1]).write_text('ImageID,ans')\n"
    )
    monkeypatch.setattr(scripts.predict, "MASKCLS", (sys.executable, str(fake)))

    found = scripts.predict.ours(tmp_path / "run", Path("DATA"), scripts.predict.arguments_of([]))

    assert (found["printed"], found["again_printed"]) == (60.0, 120.5)
    assert found["wall_s"] > 0 < found["again_wall_s"]


# --- first_epoch.py


def test_the_first_epoch_is_what_the_bare_loop_needs_over_what_was_needed(scripts: SimpleNamespace) -> None:
    """80 images at 40/s and 30 at 60/s are 2.5 s; maskcls took 10."""
    bare = {"train_images_per_s": 40.0, "infer_images_per_s": 60.0}
    assert scripts.first_epoch.share(bare, 10.0, train_images=80, valid_images=30) == pytest.approx(0.25)


def test_another_checkout_is_compared_where_one_is_named(scripts: SimpleNamespace, tmp_path: Path) -> None:
    module = scripts.first_epoch
    assert module.trees_of(module.arguments_of([])) == {"this": BENCHMARKS.parent}
    found = module.trees_of(module.arguments_of(["--other", str(tmp_path)]))
    assert found == {"this": BENCHMARKS.parent, "other": tmp_path.resolve()}


def test_a_checkout_whose_training_fails_is_named(
    scripts: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = subprocess.Popen([sys.executable, "-c", "raise SystemExit(4)"])
    ended.wait()
    monkeypatch.setattr(scripts.first_epoch, "_start", lambda *_: ended)
    with pytest.raises(RuntimeError, match="this: maskcls ended with 4"):
        scripts.first_epoch.first_epochs(tmp_path, "test_resnet", {"this": tmp_path})


# --- the real command line


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="CPU seconds are read from /proc")
def test_a_first_epoch_is_counted_from_end_to_end(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "first_epoch.py"), "--photos", str(tmp_path / "set")]
    words = "--backbones test_resnet --rounds 2 --count 126 --steps 1 --other"
    command += [*words.split(), str(BENCHMARKS.parent)]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if ":" in line][1:]
    assert [row[0] for row in rows] == ["other:"] * 2 + ["this:"] * 2
    assert {row[-1] for row in rows} == {"2"}  # rounds
    assert len([line for line in done.stderr.splitlines() if line.startswith("round ")]) == 4


@pytest.mark.slow
def test_a_whole_comparison(tmp_path: Path) -> None:
    """maskcls accepts the photos, and its run folder holds what the scripts read."""
    command = [sys.executable, str(BENCHMARKS / "step.py"), "--photos", str(tmp_path / "set")]
    words = "--backbones test_resnet --size 32 24 --batch 8 --epochs 2 --steps 1 --rounds 1 --count 126 --json"
    command += words.split()

    done = subprocess.run([*command, str(tmp_path / "r.json")], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "r.json").read_text())
    names = ("epoch", "epoch + saving", "training alone", "start + epoch 1", "epoch 1")
    assert record["ratios"].keys() == {f"test_resnet: {name}" for name in names}
    ours = record["raw"]["test_resnet"]["rounds"][0]["maskcls"]
    assert ours["train_images"] + ours["valid_images"] == 126
    assert ours["valid_images"] in (21, 28)  # three or four of 18 people
    assert "share of the bare speed" in done.stdout
