"""`maskcls synth train --kind cyclegan` on drawn faces: what it refuses before it writes, and that it resumes."""

from pathlib import Path

import pytest
from tiny import recipe

from maskcls.cli import run_app
from maskcls.errors import Exit
from maskcls.rundir import SynthDir
from maskcls.synth.loop.parts import load_part, read_generator_done

WORDS = (
    *("synth.size=[32, 16]", "synth.width=4", "synth.blocks=1", "synth.batch_size=2", "synth.steps=2", "synth.pool=3"),
    *("synth.classes={mask: [wear]}", "synth.from_classes={mask: [normal]}", "synth.least_groups=2"),
)


def synth(verb: str, *words: str) -> int:
    return run_app(["synth", verb, *words])


def test_a_training_that_ends_by_its_time_is_resumed_to_its_end(drawn: Path, tmp_path: Path) -> None:
    run, folder = tmp_path / "g", SynthDir(tmp_path / "g").fold(1)
    words = [str(drawn), "--kind", "cyclegan", "--run", str(run), "--folds", "1", *recipe(*WORDS)]

    assert synth("train", *words, "--minutes", "0.0001") == Exit.OK
    assert read_generator_done(folder) is None
    assert load_part(folder.generator).step == 1
    assert synth("resume", str(run)) == Exit.OK
    done = read_generator_done(folder)
    assert done is not None
    assert load_part(folder.generator).sha256 == done.generator
    assert load_part(folder.critic).facts["domains"]["source"] == {"mask": ["normal"]}


@pytest.mark.parametrize("force", [False, True])
def test_few_people_to_translate_are_refused_before_anything_is_written(
    drawn: Path, tmp_path: Path, force: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["synth.classes={age: ['<30']}", "synth.from_classes={age: ['>=60']}", "synth.least_groups=3"]
    words = [str(drawn), "--kind", "cyclegan", "--run", str(tmp_path / "g"), "--folds", "0", *recipe(*WORDS, *few)]
    ended = synth("train", *words, *(["--force"] if force else []))

    assert (tmp_path / "g").exists() == force
    assert ended == (Exit.OK if force else Exit.DATA)
    assert ("too few people of the class that photos are translated from" in capsys.readouterr().err) != force
