"""The table of samples: exact bytes and round trips, and every leak and damage planted and refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskcls import files
from maskcls.errors import BusyError, DataError
from maskcls.labels import LabelSpace, Task
from maskcls.results.added.added_set import AddedSet
from maskcls.results.synth.read_samples import read_samples
from maskcls.results.synth.sample_columns import SAMPLES
from maskcls.results.synth.sample_table import SampleMaker, Samples
from maskcls.results.synth.write_samples import images_folder, write_samples
from maskcls.rundir import REFIT
from tests.edited import edit_json

FOLDS = "f" * 64
SPACE = LabelSpace((Task("hat", ("no", "yes")), Task("age", ("young", "old"), (30,))))
FOLD_OF = {"a.jpg": 0, "b.jpg": 1, "c.jpg": 2, "d.jpg": -1}
MAKERS = {**{k: (SampleMaker(k, f"{k}" * 64),) for k in range(3)}, REFIT: (SampleMaker(REFIT, "9" * 64),)}
PARENTS = {"synth/0/1": ("b.jpg", "c.jpg"), "synth/1/0": ("a.jpg",), "synth/all/0": ("a.jpg", "b.jpg")}
IDS = {0: ["synth/0/0", "synth/0/1"], 1: ["synth/1/0"], 2: ["synth/2/0"], REFIT: ["synth/all/0"]}
TABLE = b"""set,id,path,weight,hat,age,parents
0,synth/0/0,t/0-0.png,0.5,yes,old,
0,synth/0/1,t/0-1.png,0.5,no,old,b.jpg;c.jpg
1,synth/1/0,t/1-0.png,0.5,yes,old,a.jpg
2,synth/2/0,t/2-0.png,0.5,yes,old,
all,synth/all/0,t/all-0.png,0.5,yes,old,a.jpg;b.jpg
"""


def set_of(ids: list[str], *, weight: float = 0.5) -> AddedSet:
    paths = [f"t/{one.split('/')[1]}-{one.split('/')[2]}.png" for one in ids]
    hat = [0 if one == "synth/0/1" else 1 for one in ids]
    labels = {"hat": np.array(hat, dtype=np.int64), "age": np.ones(len(ids), dtype=np.int64)}
    return AddedSet(
        np.array(ids, dtype=np.str_), np.array(paths, dtype=np.str_), labels, None, np.full(len(ids), weight)
    )


def all_sets() -> dict[int, AddedSet]:
    return {k: set_of(ids) for k, ids in IDS.items()}


def digest_of(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=16).digest()


def write(path: Path, sets: Mapping[int, AddedSet] | None = None, **options: Any) -> str:
    given: dict[str, Any] = {
        "kind": "dcgan",
        "folds_sha256": FOLDS,
        "k": 3,
        "makers": MAKERS,
        "counts": [{"set": "0", "class": "yes / old", "made": 3, "kept": 2, "copies": 1, "disputed": 0}],
        "lineage": {"synth": "g"},
        "contents": {one: digest_of(one) for ids in IDS.values() for one in ids},
        "images": {f"t/{k}-0.png": f"image {k}".encode() for k in ("0", "1", "2", "all")},
    }
    parents = options.pop("parents", PARENTS)
    return write_samples(path, all_sets() if sets is None else sets, parents, SPACE, **given | options)


def read(path: Path, space: LabelSpace = SPACE, **options: Any) -> Samples:
    return read_samples(path, space, **{"folds_sha256": FOLDS, "k": 3, "fold_of": FOLD_OF, **options})


def resign(path: Path, change: Callable[[str], str] = str, **entries: Any) -> None:
    """Change the CSV, and the sidecar so that it fits: what a careful forger does."""
    path.write_text(change(path.read_text()))
    edit_json(path.with_suffix(".json"), {"sha256": files.file_sha256(path), **entries})


def makers_entry(path: Path, makers: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    """Return the sidecar's sets with other generators."""
    entries: list[dict[str, Any]] = json.loads(path.with_suffix(".json").read_text())["sets"]
    for entry in entries:
        if entry["set"] in makers:
            entry["generators"] = [{"fold": fold, "sha256": "a" * 64} for fold in makers[entry["set"]]]
    return entries


def refusal(path: Path, **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        read(path, **options)
    return caught.value


@pytest.fixture
def table(tmp_path: Path) -> Path:
    write(tmp_path / "t.csv")
    return tmp_path / "t.csv"


def test_the_bytes_and_the_sidecar(table: Path) -> None:
    assert table.read_bytes() == TABLE
    sidecar = json.loads(table.with_suffix(".json").read_text())
    assert (sidecar["kind"], sidecar["generator"], sidecar["folds"]) == (
        SAMPLES.kind,
        "dcgan",
        {"sha256": FOLDS, "k": 3},
    )
    first, *_, last = sidecar["sets"]
    assert first == {"set": "0", "rows": 2, "generators": [{"fold": "0", "sha256": "0" * 64}], "parents": 2}
    assert (last["set"], last["parents"]) == ("all", 2)
    assert sidecar["counts"][0]["copies"] == 1
    assert (images_folder(table) / "2-0.png").read_bytes() == b"image 2"


def test_it_reads_back_as_it_was_given(table: Path) -> None:
    found = read(table)
    assert (found.leaky, found.kind, found.makers, dict(found.parents)) == (False, "dcgan", MAKERS, PARENTS)
    assert found.contents == {one: digest_of(one) for ids in IDS.values() for one in ids}
    for k, wanted in all_sets().items():
        assert found.sets[k].ids.tolist() == wanted.ids.tolist()
        assert found.sets[k].paths.tolist() == wanted.paths.tolist()
        assert found.sets[k].weight.tolist() == wanted.weight.tolist()
        assert {name: label_N.tolist() for name, label_N in found.sets[k].labels.items()} == {
            name: label_N.tolist() for name, label_N in wanted.labels.items()
        }


def test_a_set_may_be_without_rows_if_the_sidecar_says_so(tmp_path: Path) -> None:
    write(tmp_path / "t.csv", all_sets() | {1: set_of([])})
    assert [len(read(tmp_path / "t.csv").sets[k]) for k in (0, 1, 2, REFIT)] == [2, 0, 1, 1]
    with pytest.raises(DataError, match="no sample in the table"):
        write(tmp_path / "u.csv", {k: set_of([]) for k in IDS})


def test_a_killed_command_given_again_ends_with_the_same_bytes(table: Path, tmp_path: Path) -> None:
    """The CSV is the last file: without it, what is there stays, and what is missing is written."""
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for missing in ([table], [table, table.with_suffix(".json")], [table, images_folder(table) / "1-0.png"]):
        for path in missing:
            path.unlink()
        write(table)
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    table.unlink()
    (images_folder(table) / "1-0.png").write_bytes(b"of somebody else")
    with pytest.raises(BusyError, match="exists with other content"):
        write(table)
    assert not table.exists()


def test_a_sample_of_another_fold_s_generator_is_refused(table: Path) -> None:
    """The generator was trained on the people that the fold of the set validates."""
    resign(table, sets=makers_entry(table, {"2": ["0"]}))
    found = refusal(table)
    assert found.what == (
        "a sample of set 2 was made by the generator of fold 0, which was trained on people that fold 2 validates"
    )
    assert found.offenders == ("'synth/2/0': generator of fold 0, sha256 aaaaaaaaaaaa…",)
    leaky = read(table, allow_leaky=True)
    assert leaky.leaky
    assert list(leaky.sets) == [REFIT]


def test_a_sample_of_the_generator_of_all_rows_is_refused(table: Path) -> None:
    resign(table, sets=makers_entry(table, {"1": ["all"], "0": ["0"]}))
    assert "was made by the generator of all rows, which was trained on people that fold 1" in refusal(table).what


def test_the_set_of_all_rows_may_have_any_generator(table: Path) -> None:
    resign(table, sets=makers_entry(table, {"all": ["0", "1", "2"]}))
    assert not read(table).leaky


def test_a_parent_that_the_fold_validates_is_refused(table: Path) -> None:
    resign(table, lambda text: text.replace("old,a.jpg\n", "old,b.jpg\n"))
    found = refusal(table)
    assert found.what == "a sample was made from photos of people that its fold validates"
    assert found.offenders == ("'synth/1/0': its parent 'b.jpg' is of people that fold 1 validates",)
    assert read(table, allow_leaky=True).leaky


def test_a_parent_that_nobody_knows_is_refused(table: Path) -> None:
    resign(table, lambda text: text.replace("b.jpg;c.jpg", "b.jpg;x.jpg"))
    assert refusal(table).offenders == ("'synth/0/1': its parent 'x.jpg' is no photo of this training",)
    resign(table, lambda text: text.replace("b.jpg;x.jpg", "b.jpg;d.jpg"))  # which no fold validates
    assert not read(table).leaky


def test_a_sealed_parent_is_refused_even_if_leaky_ones_are_accepted(table: Path) -> None:
    known = {name: fold for name, fold in FOLD_OF.items() if name != "c.jpg"}
    for accept in (False, True):
        found = refusal(table, fold_of=known, sealed=["c.jpg"], allow_leaky=accept)
        assert found.what == "samples were made from photos of sealed people"
        assert found.offenders == ("'synth/0/1': its parent 'c.jpg'",)


def test_generators_of_other_folds_are_refused(table: Path) -> None:
    for other in ({"folds_sha256": "e" * 64}, {"k": 4}):
        assert "made with other folds" in refusal(table, **other).what
        assert read(table, **other, allow_leaky=True).leaky
        found = refusal(table, **other, allow_leaky=True, sealed=["z.jpg"])
        assert found.what == "the generators of the samples may have seen sealed people"
    assert not read(table, sealed=["z.jpg"]).leaky


def test_samples_of_other_classes_are_refused(table: Path) -> None:
    other = LabelSpace((Task("hat", ("yes", "no")), SPACE.tasks[1]))
    assert "other classes" in refusal(table, space=other).what


def test_a_table_made_by_hand_is_leaky(table: Path) -> None:
    table.with_suffix(".json").unlink()
    table.write_text("id,path,hat,age\nsynth/all/0,t/all-0.png,yes,old\n")
    assert "without a sidecar" in refusal(table).what
    found = read(table, allow_leaky=True)
    assert (found.leaky, found.kind, found.sets[REFIT].weight.tolist()) == (True, "", [1.0])
    assert "may have seen sealed" in refusal(table, allow_leaky=True, sealed=["z.jpg"]).what


WRONG: dict[str, tuple[Callable[[str], str], str]] = {
    "id of another set": (lambda t: t.replace("1,synth/1/0", "1,synth/2/5"), "'synth/2/5': the id is not synth/1/"),
    "id of no sample": (lambda t: t.replace("synth/1/0", "x.jpg"), "'x.jpg': the id is not synth/1/ and a number"),
    "id twice": (lambda t: t.replace("synth/0/1", "synth/0/0"), "'synth/0/0': the id occurs twice"),
    "no path": (lambda t: t.replace("t/2-0.png", ""), "'synth/2/0': the id or the path is empty"),
    "no label": (lambda t: t.replace("2-0.png,0.5,yes", "2-0.png,0.5,"), "'synth/2/0': a task has no label"),
    "no weight": (lambda t: t.replace("2-0.png,0.5", "2-0.png,0"), "'synth/2/0': the weight is not"),
    "parent twice": (
        lambda t: t.replace("b.jpg;c.jpg", "b.jpg;b.jpg"),
        "'synth/0/1': a parent is empty, is named",
    ),
    "empty parent": (lambda t: t.replace("b.jpg;c.jpg", "b.jpg;"), "'synth/0/1': a parent is empty"),
    "another class": (lambda t: t.replace("2-0.png,0.5,yes", "2-0.png,0.5,yess"), "row 4: 'yess'"),
    "no set": (lambda t: t.replace("2,synth/2/0", "two,synth/2/0"), "row 4: 'two'"),
    "no number": (lambda t: t.replace("2-0.png,0.5", "2-0.png,much"), "row 4: 'much'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_every_fault_is_named_with_its_row(name: str, table: Path) -> None:
    change, message = WRONG[name]
    resign(table, change)
    assert any(line.startswith(message) for line in refusal(table, allow_leaky=True).offenders), name


def test_faults_of_the_whole_table(table: Path) -> None:
    text = table.read_text()
    assert "does not match its sidecar" in _changed(table, text.replace("yes", "no"), signed=False).what
    found = _changed(table, text.replace("weight", "heavy"))
    assert found.offenders == ("weight is missing", "heavy is not known")
    found = _changed(table, "\n".join(line for line in text.splitlines() if not line.startswith("1,")) + "\n")
    assert (found.what, found.got) == ("the sets of samples are not those expected", "all, 0, 2")
    sets = [{**entry, "generators": []} for entry in makers_entry(table, {})]
    table.write_text(text)
    resign(table, sets=sets)
    assert "cannot be read" in refusal(table).what


def _changed(table: Path, text: str, *, signed: bool = True) -> DataError:
    table.write_text(text)
    if signed:
        resign(table)
    return refusal(table)


def test_what_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    with pytest.raises(ValueError, match="expected"):
        write(path, {k: rows for k, rows in all_sets().items() if k != 2})
    with pytest.raises(DataError) as caught:
        write(path, parents=PARENTS | {"synth/2/0": ("one;two",)})
    assert "has a ; in its id" in caught.value.offenders[0]
    soft = replace(set_of(IDS[2]), prob=np.full((1, 4), 0.25, dtype=np.float32))
    with pytest.raises(ValueError, match="hard labels"):
        write(path, all_sets() | {2: soft})
    assert list(tmp_path.iterdir()) == []
