"""The names of class folders as true labels of predicted photos."""

from pathlib import Path

import numpy as np
import pytest

from maskcls.data.layouts.folder_answers import read_folder_answers
from maskcls.errors import DataError
from maskcls.labels import LabelSpace, Task
from maskcls.results.submissions.write import write_submission
from maskcls.runs.read_labelled import read_labelled_predictions

PETS = LabelSpace((Task("pet", ("dog", "cat")),))
WHOLE = ["test/cat/a.png", "test/cat/c.png", "test/dog/b.png"]  # ids of photos that were predicted with DATA
PART = ["cat/a.png", "cat/c.png", "dog/b.png"]  # with DATA/test


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for path in ("train/dog/x.png", "train/cat/y.png", *WHOLE):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("folder", "asked", "ids"), [("test", WHOLE, WHOLE), ("test", PART, PART), (".", WHOLE, WHOLE)]
)
def test_ids_are_those_that_were_predicted(data: Path, folder: str, asked: list[str], ids: list[str]) -> None:
    found, labels = read_folder_answers(data / folder, PETS, asked)
    assert found == ids
    assert labels["pet"].tolist() == [1, 1, 0]


def test_photos_that_are_in_no_class_are_listed(data: Path) -> None:
    for path in ("test/cow/d.png", "test/e.png"):
        (data / path).parent.mkdir(exist_ok=True)
        (data / path).touch()
    with pytest.raises(DataError) as caught:
        read_folder_answers(data / "test", PETS, PART)
    assert caught.value.offenders == ("cow/d.png: 'cow' is no class of pet", "e.png: in 0 class folders, expected 1")


def test_a_folder_without_photos(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no answers"):
        read_folder_answers(tmp_path, PETS, PART)


def test_a_submission_is_scored_on_class_folders(data: Path) -> None:
    written = data / "s.csv"
    write_submission(
        written, header=("path", "ans"), ids=WHOLE[::-1], labels=np.array([0, 1, 0]), space=PETS, lineage={}
    )
    found = read_labelled_predictions(written, data / "test")
    assert found.ids == WHOLE
    assert found.pred_N.tolist() == [0, 1, 0]
    assert found.truth["pet"].tolist() == [1, 1, 0]
    assert found.people_N is None
