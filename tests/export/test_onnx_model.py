"""Exported files predict photos of any size without torch, and others are refused."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from finished_run import finish_run
from onnx_files import FACTS, SPACE, colour_model, shares, write_model

from maskcls import files
from maskcls.config import installed_extras
from maskcls.errors import ConfigError, DataError, ResourceError, ResultError, UsageError, WeightsError
from maskcls.export import onnx_model
from maskcls.export.facts import decision_json
from maskcls.export.onnx_facts import from_metadata, to_metadata
from maskcls.export.onnx_model import OnnxModel, open_onnx
from maskcls.export.open_model import open_model
from maskcls.labels import LabelSpace, Task
from maskcls.results.decisions.rule import DecisionRule
from maskcls.results.predictions import Predictions
from maskcls.rundir import RunDir
from maskcls.runs.decision import Decision
from maskcls.runs.environment import read_environment
from maskcls.show.terminal.progress import Reporter

RULE = DecisionRule("task", (0.0, 3.0, 0.0), (0.1, 0.0, 0.2))
DECISION = Decision(SPACE, {"colour": 1.4}, RULE, None, "abc")


def photos(*sizes: tuple[int, int]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) // rng.integers(1, 6, 3, dtype=np.uint8) for size in sizes]


MIXED = [(20, 30), (5, 5), (20, 30), (30, 20), (5, 5), (20, 30), (20, 30)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model.onnx")


def opened(path: Path, *overrides: str, **options: Any) -> Any:
    with Reporter() as report:
        return open_model(path, overrides, report=report, **options)


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_photos_of_several_sizes_keep_their_order(file: Path, batch_size: int) -> None:
    given = photos(*MIXED)

    prob, chosen = open_onnx(file, batch_size=batch_size).run(given)

    np.testing.assert_allclose(prob, shares(given), atol=1e-5)
    assert prob.dtype == np.float32
    np.testing.assert_array_equal(chosen, shares(given).argmax(axis=1))


def test_only_photos_of_one_size_share_a_batch(file: Path) -> None:
    seen: list[tuple[int, ...]] = []

    class Session:
        def run(self, names: list[str], values: dict[str, np.ndarray]) -> list[np.ndarray]:
            seen.append(values["photos"].shape)
            rows = len(values["photos"])
            return [np.full((rows, 3), 1 / 3, np.float32), np.zeros(rows, np.int64)]

    replace(open_onnx(file), session=Session(), batch_size=3).predict(photos(*MIXED))

    assert seen == [(3, 20, 30, 3), (1, 20, 30, 3), (2, 5, 5, 3), (1, 30, 20, 3)]


def test_space_sizes_and_origin_are_read_from_the_file(file: Path) -> None:
    model = open_onnx(file)

    assert model.space == SPACE
    assert model.decode_size == (30, 20)
    assert model.origin == {
        **{name: FACTS[name] for name in ("maskcls", "run", "run_hashes", "weights", "views", "networks")},
        "engine": "onnxruntime",
        "file_sha256": files.file_sha256(file),
    }


def test_an_array_that_is_no_photo_is_refused_by_name(file: Path) -> None:
    with pytest.raises(DataError) as caught:
        open_onnx(file).predict([photos((4, 4))[0], np.zeros((4, 4, 3), np.float32)])
    assert caught.value.where == "photo 1"


NEEDED = ("tasks", "decision", "decode_size", "views", "networks")
COLOUR, HAT = SPACE.tasks[0], Task("hat", ("no", "yes"))
OTHER_TASKS = ((), (HAT,), (COLOUR, HAT), (COLOUR, COLOUR), (replace(COLOUR, classes=("red", "green")),))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "not an ONNX file"),
        (b"no model", "not an ONNX file"),
        (colour_model({}), "not from maskcls export"),
        (colour_model({**FACTS, "format": 99}), "another version of maskcls"),
        *((colour_model({k: v for k, v in FACTS.items() if k != name}), "metadata .* is damaged") for name in NEEDED),
        *((colour_model({**FACTS, "decode_size": size}), "metadata .* is damaged") for size in (3, [0, 9], ["a", 1])),
        (colour_model({**FACTS, "views": 1}), "metadata .* is damaged"),
        (colour_model({**FACTS, "tasks": [{"name": 1, "classes": [2, 3], "bins": []}]}), "metadata .* is damaged"),
        *((colour_model({**FACTS, "tasks": LabelSpace(tasks).to_json()}), "another graph") for tasks in OTHER_TASKS),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(content)

    with pytest.raises(WeightsError, match=what) as caught:
        open_onnx(path)
    assert caught.value.where == str(path)


def test_a_file_above_the_size_of_a_message_is_not_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_model, "MODEL", replace(onnx_model.MODEL, most=file.stat().st_size))
    open_onnx(file)
    monkeypatch.setattr(onnx_model, "MODEL", replace(onnx_model.MODEL, most=file.stat().st_size - 1))
    with pytest.raises(WeightsError, match="too large"):
        open_onnx(file)


def test_metadata_of_other_programs_is_ignored() -> None:
    assert from_metadata({**to_metadata(FACTS), "x.maskcls.note": "no JSON"}, where="m.onnx") == {"format": 1, **FACTS}


def test_metadata_that_is_no_json_is_refused() -> None:
    with pytest.raises(WeightsError, match="damaged"):
        from_metadata({**to_metadata(FACTS), "maskcls.tasks": "[{"}, where="m.onnx")


def test_metadata_of_other_programs_is_no_fact() -> None:
    theirs = {"author": "me", "their.maskcls.views": "not JSON"}
    assert from_metadata({**to_metadata(FACTS), **theirs}, where="m.onnx") == {**FACTS, "format": 1}


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot read") as caught:
        opened(tmp_path / "absent.onnx")
    assert caught.value.where == str(tmp_path / "absent.onnx")


def test_without_onnxruntime_the_extra_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr(installed_extras, "find_spec", lambda name: None)

    with pytest.raises(ResourceError, match="onnxruntime is not installed") as caught:
        open_onnx(file)
    assert "maskcls[export]" in str(caught.value.fix)


def test_threads_are_those_asked_for(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_model, "cores", lambda: 7)
    found = []
    real = onnxruntime.InferenceSession

    def noted(data: bytes, options: Any, **others: Any) -> Any:
        found.append(options.intra_op_num_threads)
        return real(data, options, **others)

    monkeypatch.setattr(onnxruntime, "InferenceSession", noted)
    for overrides in ((), ("device.threads=auto",), ("device.threads=2",)):
        opened(file, *overrides)

    assert found == [7, 7, 2]


def test_the_batch_size_is_a_setting(file: Path) -> None:
    assert opened(file, "predict.batch_size=5").batch_size == 5
    assert opened(file).batch_size == onnx_model.BATCH


def test_the_rule_of_the_file_is_used_on_request(tmp_path: Path) -> None:
    path = write_model(tmp_path / "ruled.onnx", {**FACTS, "decision": decision_json(DECISION)})
    prob = np.random.default_rng(1).dirichlet(np.ones(3), 200).astype(np.float32)
    plain = prob.argmax(axis=1)
    ruled = DECISION.labels(Predictions([str(i) for i in range(200)], prob, SPACE))
    assert (plain != ruled).any()

    np.testing.assert_array_equal(opened(path, decide=True).decide(prob), ruled)
    np.testing.assert_array_equal(opened(path).decide(prob), plain)


def test_a_decision_without_a_rule_is_none() -> None:
    assert decision_json(None) is None
    assert decision_json(replace(DECISION, rule=None)) is None


def test_what_a_file_cannot_do_is_refused(file: Path) -> None:
    with pytest.raises(UsageError, match="without a decision rule"):
        opened(file, decide=True)
    with pytest.raises(UsageError, match="predicted with onnxruntime"):
        opened(file, engine="torch")
    with pytest.raises(ConfigError, match="no effect"):
        opened(file, "device.type=cpu")
    for setting in ("predict.views=none", "predict.networks=all"):
        with pytest.raises(ConfigError, match="another setting") as caught:
            opened(file, setting)
        assert caught.value.got == setting
    assert opened(file, "predict.views=hflip", "predict.networks=folds").space == SPACE


def test_a_path_that_is_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run folder, and no ONNX file"):
        opened(tmp_path / "nothing")


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A finished run, and the file that was exported from it; all its networks have the same hash."""
    made = finish_run(tmp_path / "run", SPACE)
    weights = [{"member": "", "seed": 0, "fold": k, "sha256": "0" * 64} for k in (0, 1)]
    hashes = read_environment(made).hashes
    write_model(made.onnx, {**FACTS, "weights": weights, "run_hashes": hashes, "views": "hflip"})
    return made


def test_a_run_is_predicted_with_its_exported_file(run: RunDir) -> None:
    given = photos((9, 8))

    model = opened(run.path, engine="onnxruntime")

    assert isinstance(model, OnnxModel)
    np.testing.assert_allclose(model.predict(given), shares(given), atol=1e-5)


def rewritten(run: RunDir, **facts: Any) -> None:
    entries = from_metadata(
        onnxruntime.InferenceSession(run.onnx.read_bytes()).get_modelmeta().custom_metadata_map, where=""
    )
    write_model(run.onnx, {**entries, **facts})


@pytest.mark.parametrize(
    "facts",
    [
        {"weights": [{"sha256": "1" * 64}, {"sha256": "0" * 64}]},
        {"weights": [{"sha256": "0" * 64}]},
        {"run_hashes": {"folds.csv": "2"}},
    ],
)
def test_a_file_of_other_weights_is_refused(run: RunDir, facts: dict[str, Any]) -> None:
    rewritten(run, **facts)

    with pytest.raises(ResultError, match="other weights") as caught:
        opened(run.path, engine="onnxruntime")
    assert caught.value.fix == f"maskcls export {run.path} --force"


def test_a_run_that_was_exported_with_other_views_is_refused(run: RunDir) -> None:
    rewritten(run, views="none")

    with pytest.raises(ConfigError, match="another setting"):
        opened(run.path, engine="onnxruntime")
    assert opened(run.path, "predict.views=none", engine="onnxruntime").space == SPACE


def test_a_run_that_was_not_exported_is_refused(run: RunDir) -> None:
    run.onnx.unlink()

    with pytest.raises(UsageError, match="not exported") as caught:
        opened(run.path, engine="onnxruntime")
    assert caught.value.fix == f"maskcls export {run.path}"


def test_the_rule_of_the_run_decides(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    from maskcls.runs import decision

    monkeypatch.setattr(decision, "read_decision", lambda run: DECISION)

    assert opened(run.path, engine="onnxruntime", decide=True).decision == DECISION
    assert opened(run.path, engine="onnxruntime").decision is None
    shift = replace(DECISION, rule=DecisionRule("shift", (0.0,) * 3), prior=(1 / 3,) * 3)
    monkeypatch.setattr(decision, "read_decision", lambda run: shift)
    with pytest.raises(UsageError, match="all photos together"):
        opened(run.path, engine="onnxruntime", decide=True)


ALONE = """
import sys
class Refused:
    def find_spec(self, name, path=None, target=None):
        allowed = {"onnxruntime", "numpy", "PIL", "cv2", "maskcls"} | sys.stdlib_module_names
        if path is None and name not in allowed and name.partition(".")[0] in sys.argv[3].split(","):
            raise ImportError(name)
sys.meta_path.insert(0, Refused())
from pathlib import Path
import numpy as np
from maskcls.export.open_model import open_model
from maskcls.data.photos.images import decode
model = open_model(Path(sys.argv[1]), report=None)
photos = list(np.load(sys.argv[2]))
print(model.predict(photos).tolist())
"""
TRAINING = "torch,torchvision,timm,accelerate,albumentations,safetensors,pandas,scipy,sklearn,pydantic,yaml,rich,typer"


def test_a_machine_without_the_packages_of_a_training_can_predict(file: Path, tmp_path: Path) -> None:
    given = photos((6, 7), (6, 7))
    np.save(tmp_path / "photos.npy", np.stack(given))
    words = [sys.executable, "-c", ALONE, str(file), str(tmp_path / "photos.npy"), TRAINING]

    done = subprocess.run(words, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(json.loads(done.stdout), shares(given), atol=1e-5)
