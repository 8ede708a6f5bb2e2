"""Photos predicted in parts: every photo once, the same bits after an interruption, and what a gather refuses.

The model is a stand-in: a photo's probabilities are computed from its mean colour, and each call is recorded.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskcls import files
from maskcls.data.photos import decode_ahead
from maskcls.errors import BusyError, DataError, ResultError, UsageError
from maskcls.labels import Floats, Ints, LabelSpace, Task
from maskcls.results.photo_model import Photo
from maskcls.results.predicted.gather import WantedTables, write_tables
from maskcls.results.predicted.parts import check_shards, gathered, part_path, read_part
from maskcls.results.predicted.plan import PredictionPlan, RunningHash, open_plan, read_plan
from maskcls.training.predicting.stream import predict_names, predict_parts

SPACE = LabelSpace((Task("tone", ("dark", "light")),))
PHOTOS, PART, CHUNK = 11, 4, 3


class KilledError(Exception):
    """What stops the prediction in the middle."""


@dataclass
class Tones:
    """Probability of "light": the mean of a photo; it depends on the place in the call too, as last bits do."""

    calls: list[int] = field(default_factory=list)
    allowed: int = 1000
    space: LabelSpace = SPACE
    decode_size: tuple[int, int] = (16, 16)
    origin: Mapping[str, Any] = field(default_factory=lambda: {"run": "tones"})

    def predict(self, photos: Sequence[Photo]) -> Floats:
        if len(self.calls) == self.allowed:
            raise KilledError
        self.calls.append(len(photos))
        light_N = np.array([photo.mean() / 255 for photo in photos]) * 0.9 + np.arange(len(photos)) * 1e-3
        return np.stack([1 - light_N, light_N], axis=1).astype(np.float32)

    def decide(self, prob_NJ: Floats) -> Ints:
        return np.zeros(len(prob_NJ), dtype=np.int64)


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return eleven photos of rising brightness, and make parts of four and chunks of three."""
    monkeypatch.setattr(decode_ahead, "CHUNK_PHOTOS", CHUNK)
    found = [str(tmp_path / f"{n:02d}.png") for n in range(PHOTOS)]
    for n, name in enumerate(found):
        Image.new("RGB", (20, 20), (20 * n,) * 3).save(name)
    return found


def plan_of(names: Sequence[str], shard: tuple[int, int] = (1, 1), **changes: Any) -> PredictionPlan:
    given = {
        "model": {"run": "tones"}, "lineage": {"run": "tones"}, "tasks": SPACE.to_json(), "settings": (),
        "decide": False, "photos": len(names), "names_sha256": RunningHash(names).sha256, "part_photos": PART,
        "shard": shard,
    }  # fmt: skip
    return PredictionPlan(**(given | changes))


def predict(folder: Path, names: Sequence[str], model: Tones, plan: PredictionPlan) -> None:
    open_plan(folder, plan)
    predict_parts(model, names, folder, plan, threads=2)


def table(shards: list[tuple[Path, PredictionPlan]], path: Path, **wanted: Any) -> bytes:
    write_tables(shards, WantedTables(probabilities=path, **wanted))
    about = files.read_json(path.with_suffix(".json"))
    assert about.pop("file") == path.name
    assert about.pop("digest")  # of the name too
    return path.read_bytes() + json.dumps(about).encode()


@pytest.fixture
def whole(names: list[str], tmp_path: Path) -> bytes:
    """Return the table of an uninterrupted prediction."""
    plan, model = plan_of(names), Tones()
    predict(tmp_path / "whole", names, model, plan)
    assert model.calls == [3, 1, 3, 1, 3]  # chunks do not cross the borders of parts
    return table([(tmp_path / "whole", plan)], tmp_path / "whole.csv")


def test_every_photo_once_in_order(names: list[str], tmp_path: Path, whole: bytes) -> None:
    lines = (tmp_path / "whole.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == names
    light = [float(line.split(",")[-1]) for line in lines[1:]]
    places = [0, 1, 2, 0] * 2 + [0, 1, 2]
    assert light == pytest.approx([20 * n / 255 * 0.9 + place * 1e-3 for n, place in enumerate(places)], abs=1e-6)
    assert [line.split(",")[2] for line in lines[1:]] == ["dark" if share < 0.5 else "light" for share in light]


@pytest.mark.parametrize(("allowed", "parts"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (5, 3)])
def test_an_interrupted_prediction_continues_with_the_same_bits(
    names: list[str], tmp_path: Path, whole: bytes, allowed: int, parts: int
) -> None:
    folder, plan, model = tmp_path / "again", plan_of(names), Tones(allowed=allowed)
    if allowed < 5:
        with pytest.raises(KilledError):
            predict(folder, names, model, plan)
    else:
        predict(folder, names, model, plan)
    assert len(list(folder.glob("*.npz"))) == parts
    rest = Tones()
    predict(folder, names, rest, plan)
    assert sum(rest.calls) == max(0, PHOTOS - PART * parts)  # parts that are there are not predicted again
    assert table([(folder, plan)], tmp_path / "again.csv") == whole


@pytest.mark.parametrize("shards", [1, 2, 3, 5])
def test_shards_give_the_same_bytes(names: list[str], tmp_path: Path, whole: bytes, shards: int) -> None:
    folders = [tmp_path / f"shard{i}" for i in range(1, shards + 1)]
    for i, folder in enumerate(folders, 1):
        predict(folder, names, Tones(), plan_of(names, (i, shards)))
    assert table(check_shards(folders[::-1]), tmp_path / "gathered.csv") == whole


def test_what_is_not_all_shards_is_refused(names: list[str], tmp_path: Path) -> None:
    folders = [tmp_path / f"shard{i}" for i in (1, 2, 3)]
    for i, folder in enumerate(folders, 1):
        predict(folder, names, Tones(), plan_of(names, (i, 3)))
    with pytest.raises(UsageError, match="shards are missing") as missing:
        check_shards(folders[:2])
    assert missing.value.offenders == ("3/3",)
    shutil.copytree(folders[0], tmp_path / "copy")
    with pytest.raises(UsageError, match="a shard is given twice") as twice:
        check_shards([*folders, tmp_path / "copy"])
    assert twice.value.offenders == (str(folders[0]), str(tmp_path / "copy"))
    predict(tmp_path / "other", names, Tones(), plan_of(names, (3, 3), model={"run": "another"}))
    with pytest.raises(ResultError, match="different predictions") as foreign:
        check_shards([*folders[:2], tmp_path / "other"])
    assert foreign.value.offenders == (str(tmp_path / "other"),)
    predict(tmp_path / "half", names, Tones(), plan_of(names, (1, 2)))
    with pytest.raises(UsageError, match="different divisions"):
        check_shards([*folders, tmp_path / "half"])
    with pytest.raises(ResultError, match="not a folder of predicted parts"):
        check_shards([tmp_path])


def test_a_part_that_is_missing_damaged_or_foreign_is_refused(names: list[str], tmp_path: Path) -> None:
    folder, plan = tmp_path / "parts", plan_of(names)
    predict(folder, names, Tones(), plan)
    data = part_path(folder, 1).read_bytes()
    part_path(folder, 1).unlink()
    with pytest.raises(ResultError, match="cannot read a part"):
        list(gathered([(folder, plan)]))
    part_path(folder, 1).write_bytes(data[:200])
    with pytest.raises(ResultError, match="a part cannot be read"):
        list(gathered([(folder, plan)]))
    shutil.copy(part_path(folder, 0), part_path(folder, 1))  # right plan, wrong place: photos would come twice
    with pytest.raises(ResultError, match="belongs to another prediction"):
        list(gathered([(folder, plan)]))
    part_path(folder, 1).write_bytes(data)
    assert sum(len(rows) for rows in gathered([(folder, plan)])) == PHOTOS


def test_parts_of_other_names_are_found(names: list[str], tmp_path: Path) -> None:
    """The hash of all names is compared, not their number alone."""
    folder, plan = tmp_path / "parts", plan_of(names, names_sha256="0" * 64)
    predict(folder, names, Tones(), plan)
    with pytest.raises(ResultError, match="do not hold the photos of the plan"):
        list(gathered([(folder, plan)]))


def test_another_command_does_not_continue(names: list[str], tmp_path: Path) -> None:
    open_plan(tmp_path / "parts", plan_of(names))
    assert open_plan(tmp_path / "parts", plan_of(names))
    for changes in ({"settings": ("predict.views=none",)}, {"decide": True}, {"model": {"run": "b"}}, {"photos": 3}):
        with pytest.raises(BusyError, match="another prediction") as caught:
            open_plan(tmp_path / "parts", plan_of(names, **changes))
        assert caught.value.offenders == tuple(changes)
    assert open_plan(tmp_path / "parts", plan_of(names, lineage={"data": "other words for the same photos"}))
    assert plan_of(names).sha256 == plan_of(names, (2, 3), lineage={"data": "other words"}).sha256
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "text.txt").touch()
    with pytest.raises(BusyError, match="holds other files"):
        open_plan(tmp_path / "mine", plan_of(names))


def test_a_plan_that_was_changed_is_refused(names: list[str], tmp_path: Path) -> None:
    """The lineage of a plan goes into the sidecars of the tables, and is compared with nothing else."""
    folder = tmp_path / "parts"
    open_plan(folder, plan_of(names))
    written = files.read_json(folder / "plan.json")
    files.commit_json(folder / "plan.json", written | {"lineage": {"run": "another"}})
    for read in (lambda: read_plan(folder), lambda: open_plan(folder, plan_of(names))):
        with pytest.raises(ResultError, match="changed after maskcls wrote it") as caught:
            read()
        assert caught.value.where == str(folder / "plan.json")
    earlier = {key: value for key, value in written.items() if key != files.DIGEST}
    files.commit_json(folder / "plan.json", earlier)
    assert read_plan(folder) == plan_of(names)


def test_a_photo_that_changed_is_predicted_again(names: list[str], tmp_path: Path) -> None:
    folder, plan = tmp_path / "parts", plan_of(names)
    predict(folder, names, Tones(), plan)
    Image.new("RGB", (30, 30), (255,) * 3).save(names[5])
    model = Tones()
    predict(folder, names, model, plan)
    assert model.calls == [3, 1]  # its part alone
    assert read_part(folder, plan, 1).rows.prob_NJ[1, 1] == pytest.approx(0.9 + 1e-3)


def test_photos_that_cannot_be_read_are_listed_or_rows(names: list[str], tmp_path: Path) -> None:
    Path(names[2]).write_bytes(b"junk\n")
    os.unlink(names[8])
    told: list[str] = []
    folder, plan, model = tmp_path / "parts", plan_of(names), Tones()
    open_plan(folder, plan)
    predict_parts(model, names, folder, plan, threads=2, on_unreadable=told.append)
    want = [f"{names[2]}: not an image: text", f"{names[8]}: cannot read the photo (No such file or directory)"]
    assert told == want
    assert model.calls == [2, 1, 3, 1, 2]
    with pytest.raises(DataError, match="photos cannot be read") as caught:
        table([(folder, plan)], tmp_path / "a.csv")
    assert list(caught.value.offenders) == want
    assert not (tmp_path / "a.csv").exists()
    table([(folder, plan)], tmp_path / "a.csv", skip_unreadable=True)
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0] == "path,ans,tone,tone_probability,tone/dark,tone/light,error"
    assert lines[3] == f"{names[2]},,,,,,not an image: text"
    assert len(lines) == 1 + PHOTOS
    Image.new("RGB", (20, 20), (40,) * 3).save(names[2])
    Image.new("RGB", (20, 20), (160,) * 3).save(names[8])
    predict(folder, names, Tones(), plan)  # repaired: the same command now succeeds
    assert len(table([(folder, plan)], tmp_path / "b.csv").splitlines()) > PHOTOS


def test_the_rule_decides_when_asked(names: list[str], tmp_path: Path) -> None:
    most = predict_names(Tones(), names, decide=False, threads=1)
    ruled = predict_names(Tones(), names, decide=True, threads=1)
    assert most.label_N.tolist() == [0] * 8 + [1] * 3
    assert ruled.label_N.tolist() == [0] * PHOTOS
    np.testing.assert_array_equal(most.prob_NJ, ruled.prob_NJ)
    plan = plan_of(names, decide=True)
    predict(tmp_path / "parts", names, Tones(), plan)
    assert read_part(tmp_path / "parts", plan, 2).rows.label_N.tolist() == [0, 0, 0]


def test_progress_counts_what_was_there(names: list[str], tmp_path: Path) -> None:
    folder, plan, done = tmp_path / "parts", plan_of(names), list[int]()
    with pytest.raises(KilledError):
        predict(folder, names, Tones(allowed=2), plan)
    predict_parts(Tones(), names, folder, plan, threads=1, on_photos=done.append)
    assert done == [7, 8, 11]
