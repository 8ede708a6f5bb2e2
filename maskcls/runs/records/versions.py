"""Packages that change probabilities, in other versions than a run was trained with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from maskcls.rundir import RunDir
from maskcls.runs.environment import PIXEL_DECODER, package_versions, read_environment

MATTER = ("torch", "timm", "opencv-python-headless", "pillow", PIXEL_DECODER)


def other_versions(run: RunDir) -> dict[str, list[str]]:
    """Return {package: [version at the training, version now]} of those that differ; raises as `read_environment`."""
    return differing(read_environment(run).packages, package_versions(MATTER))


def other_versions_of(runs: Iterable[RunDir]) -> dict[str, dict[str, list[str]]]:
    """Return what `other_versions` finds, by the folder of the run; without runs of which nothing differs."""
    return {str(run.path): found for run in runs if (found := other_versions(run))}


def differing(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the packages of other versions; builds for another device (`2.1+cpu`) and unknown ones are none.

    >>> differing({"torch": "2.1+cu128", "pillow": "9.0"}, {"torch": "2.1+cpu", "pillow": "11.0", "timm": "1.0"})
    {'pillow': ['9.0', '11.0']}
    """
    both = {name: [before[name].partition("+")[0], now[name].partition("+")[0]] for name in now if name in before}
    return {name: pair for name, pair in both.items() if pair[0] != pair[1]}


def versions_in_words(run: RunDir, found: Mapping[str, list[str]]) -> str:
    """Say in one line which versions differ.

    >>> from pathlib import Path
    >>> versions_in_words(RunDir(Path("runs/a")), {"pillow": ["9.0", "11.0"]})
    'runs/a was trained with other versions, so probabilities may differ slightly: pillow 9.0 -> 11.0'
    """
    listed = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in found.items())
    return f"{run.path} was trained with other versions, so probabilities may differ slightly: {listed}"
