"""CycleGAN on drawn faces: refused, trained by the loop, stopped, finished, and used to translate."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import experiment, hashes

from maskcls.engine.checkpoint import load_state
from maskcls.errors import DataError
from maskcls.labels import CONTEST
from maskcls.rundir import REFIT, SynthDir
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.cyclegan.domains import Domains
from maskcls.synth.cyclegan.enough_people import check_translations
from maskcls.synth.cyclegan.player import build_cyclegan
from maskcls.synth.cyclegan.translate import chosen_parents, translate
from maskcls.synth.loop.parts import load_part
from maskcls.synth.loop.synth_rows import generator_rows, synth_rows
from maskcls.synth.loop.train_generator import LoopPlan, train_generator
from maskcls.training.experiment import Experiment

WORDS = (
    *("synth.kind=cyclegan", "synth.size=[32, 16]", "synth.width=4", "synth.blocks=1", "synth.batch_size=2"),
    *("synth.steps=4", "synth.pool=3", "synth.classes={mask: [wear]}", "synth.least_groups=2"),
)


def people_of(given: Experiment, k: int, mask: int) -> int:
    row_N = generator_rows(given, k)
    return len(np.unique(given.people[row_N][given.labels["mask"][row_N] == mask]))


def test_enough_people_are_accepted_without_reading_a_photo(drawn: Path, tmp_path: Path) -> None:
    given = replace(experiment(drawn, *WORDS), data=tmp_path)

    check_translations(given, [0, 1, REFIT], forced=False)


@pytest.mark.parametrize("k", [1, REFIT])
def test_a_fold_with_few_people_is_refused_unless_forced(drawn: Path, k: int) -> None:
    given = experiment(drawn, *WORDS, "synth.least_groups=1000")
    with pytest.raises(DataError, match="too few people of the class that photos are translated from") as caught:
        check_translations(given, [k], forced=False)

    # Without synth.from_classes: every drawn person has a photo without a mask and one with an incorrect one.
    assert caught.value.where == ("generator of all rows" if k == REFIT else f"generator of fold {k}")
    assert caught.value.got == f"{people_of(given, k, 1)} people of mask incorrect"
    check_translations(given, [k], forced=True)


def test_classes_without_equal_labels_are_refused_even_when_forced(drawn: Path) -> None:
    given = experiment(drawn, *WORDS)
    gender = np.where(given.labels["mask"] == 0, 0, 1)
    apart = replace(given, manifest=given.manifest.assign(gender=gender))
    with pytest.raises(DataError, match="no labels of the other tasks occur in both"):
        check_translations(apart, [0], forced=True)


def test_a_training_on_faces_that_is_stopped_ends_with_the_same_files(drawn: Path, tmp_path: Path) -> None:
    given = experiment(drawn, *WORDS, "synth.from_classes={mask: [normal]}")
    rows = synth_rows(given, 0)
    folders = [SynthDir(tmp_path / name).fold(0) for name in ("whole", "stopped")]
    plan = LoopPlan("generator of fold 0", steps=4, sheet_steps=2, save_minutes=None)

    def run(folder: int, ends_s: float | None) -> int:
        player = build_cyclegan(given.cfg, rows, 0, torch.device("cpu"))
        return train_generator(player, folders[folder], replace(plan, ends_s=ends_s), Reporter(quiet=True)).step

    assert run(0, None) == 4
    assert [run(1, 0.0) for _ in range(4)] == [1, 2, 3, 4]  # a time that is over ends it after one step
    whole, stopped = (hashes(folder.path) for folder in folders)
    state = "resume/state.safetensors"  # safetensors writes its two texts in any order
    assert {**whole, state: ""} == {**stopped, state: ""}
    (tensors, progress), (others, other_progress) = (load_state(folder.state, root=folder.root) for folder in folders)
    assert progress == other_progress
    assert tensors.keys() == others.keys()
    assert all(torch.equal(tensors[name], others[name]) for name in tensors)
    assert {
        "generator/weights.safetensors",
        "critic/weights.safetensors",
        "sheets/2.png",
        "sheets/4.png",
        "DONE",
    } <= set(whole)

    part = load_part(folders[0].generator)
    wanted = CONTEST.encode({name: label_N[rows.labels["mask"] == 2] for name, label_N in rows.labels.items()})
    wanted = wanted - (2 - 0) * 6  # the same people and ages, with a mask
    parents = chosen_parents(
        wanted, rows.labels, rows.person_N, Domains.from_json(part.facts["domains"]), seed=0, fold=0
    )
    made = translate(part.tensors, part.facts, rows.images_NHWC[parents], torch.device("cpu"))
    assert made.shape == (len(wanted), 32, 16, 3)
    assert made.dtype == np.uint8
    assert (rows.labels["mask"][parents] == 2).all()
