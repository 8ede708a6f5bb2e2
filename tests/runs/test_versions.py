"""Versions that differ from those of the training, and only those that change probabilities, are said."""

from __future__ import annotations

import json
from pathlib import Path

from finished_run import finish_run
from PIL import features

from maskcls.rundir import RunDir
from maskcls.runs.environment import machine_differences, package_versions, read_environment, this_machine
from maskcls.runs.records.versions import differing, other_versions, versions_in_words


def changed(run: RunDir, **packages: str) -> RunDir:
    """Change versions in env.json as another machine would have written them."""
    from maskcls.runs.environment import write_environment

    env = read_environment(run)
    write_environment(run, env.model_copy(update={"packages": env.packages | packages}))
    return run


def test_the_same_versions_say_nothing(tmp_path: Path) -> None:
    assert other_versions(finish_run(tmp_path / "a")) == {}


def test_those_that_matter_are_named_old_and_new(tmp_path: Path) -> None:
    now = package_versions(["pillow", "torch"])
    run = changed(finish_run(tmp_path / "a"), pillow="9.0.0", libjpeg="6b", pandas="0.1", torch=now["torch"] + "+x")
    found = other_versions(run)
    assert found == {"pillow": ["9.0.0", now["pillow"]], "libjpeg": ["6b", features.version("jpg")]}
    assert versions_in_words(run, found).endswith(
        f": pillow 9.0.0 -> {now['pillow']}, libjpeg 6b -> {features.version('jpg')}"
    )
    assert json.loads(run.env.read_text())["packages"]["pandas"] == "0.1"


def test_what_an_earlier_version_did_not_keep_is_not_different() -> None:
    assert differing({"torch": "2.1"}, {"torch": "2.1", "libjpeg": "3.0"}) == {}
    before = this_machine("cpu", 1)
    without = {name: version for name, version in before.packages.items() if name != "libjpeg"}
    assert machine_differences(before.model_copy(update={"packages": without}), before) == []
    assert machine_differences(before.model_copy(update={"python": "3.0"}), before) == [
        f"python: 3.0 -> {before.python}"
    ]
