"""Guards of the code, each removed in turn from a copy of the package: a named fast test must fail then.

A guard is found by its text, anywhere in the package, and a test by its name, anywhere in tests/. So both may move;
when one changes, `python -m soak guards` reports it, and this table is changed with it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from soak import forks
from soak.plan import Plan
from soak.tally import Tally

NEEDS_WORLD = False
PROJECT_DIR = Path(__file__).resolve().parents[1]
COPIED = ("maskcls", "tests", "configs", "pyproject.toml", "docs", "README.md")
LIMIT_S = 600
TESTS_FAILED = 1  # pytest's exit code; others mean that no test was run


@dataclass(frozen=True)
class Guard:
    """old: text of the package that occurs once; new: what takes its place; test: name of a test that fails then."""

    name: str
    old: str
    new: str
    test: str


GUARDS = (
    Guard(
        "a file is synced before its rename",
        "        view = view[os.write(handle, view) :]\n    os.fsync(handle)\n",
        "        view = view[os.write(handle, view) :]\n",
        "test_data_is_synced_before_the_rename_and_the_folder_after_it",
    ),
    Guard(
        "the folder is synced after the rename",
        "        sync_folder(target.parent)\n    sweep(target.parent)\n    return sha256(data)\n",
        "        pass\n    sweep(target.parent)\n    return sha256(data)\n",
        "test_data_is_synced_before_the_rename_and_the_folder_after_it",
    ),
    Guard(
        "a file is renamed into place",
        "        write_synced(handle, data)\n        os.replace(temporary, target)\n",
        "        target.write_bytes(data)\n",
        "test_commit_replaces_the_file_and_leaves_an_open_reader_the_old_one",
    ),
    Guard(
        "one process per run",
        "        if not wait_for_lock(handle, most_s=ASKING_S):\n            raise BusyError(",
        "        if False:\n            raise BusyError(",
        "test_a_second_process_is_refused_at_once_and_told_who_holds_the_run",
    ),
    Guard(
        "a lock is no link",
        "os.open(run.lock_file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)",
        "os.open(run.lock_file, os.O_RDWR | os.O_CREAT, 0o666)",
        "test_a_lock_file_that_is_a_link_is_not_followed",
    ),
    Guard(
        "hash of saved weights",
        "    if digest != expected:\n        raise WeightsError(\n",
        "    if False:\n        raise WeightsError(\n",
        "test_any_flipped_byte_of_the_weights_is_noticed",
    ),
    Guard(
        "hash of the state of resume",
        "    if _digest(tensors, text) != expected:\n",
        "    if False:\n",
        "test_any_flipped_byte_of_a_state_is_noticed_or_harmless",
    ),
    Guard(
        "identity of a run is sealed in env.json",
        "    return [name for name, path in paths.items() if not path.is_file() or ",
        "    return [name for name, path in paths.items() if not path.is_file() and ",
        "test_what_is_missing_changed_or_added_is_named",
    ),
    Guard(
        "the owner of a file is compared",
        "    if found == owner.to_json():\n        return\n    named",
        "    if True:\n        return\n    named",
        "test_a_file_of_another_run_or_place_is_refused",
    ),
    Guard(
        "photos are compared with their digests at resume",
        "            refuse_other_photos(experiment, known.of(ids), now, paths)\n",
        "            pass\n",
        "test_resume_names_every_exchanged_photo",
    ),
    Guard(
        "moments of the optimizer are restored",
        '    restore_moments(session.optimizer, with_prefix(tensors, "optimizer/"), progress["optimizer"])\n',
        "",
        "test_killed_after_any_epoch_it_ends_the_same",
    ),
    Guard(
        "random numbers of an epoch depend on seed and epoch alone",
        "        torch.manual_seed(stream_seed(*key, session.epoch, process))\n",
        "        pass\n",
        "test_killed_after_any_epoch_it_ends_the_same",
    ),
    Guard(
        "random numbers in the middle of an epoch are restored",
        "    elif not restore_generators(begun.random, session.accelerator):",
        "    elif False:",
        "test_continued_after_a_step_it_ends_with_the_same_bits",
    ),
    Guard(
        "order of a submission",
        "for row, (name, wanted) in pairs if name != wanted]",
        "for row, (name, wanted) in pairs if name is None]",
        "test_a_broken_file_fails_the_right_check",
    ),
    Guard(
        "two tables have the same ids",
        "    if left == right:\n        return\n    parts = []\n",
        "    if True:\n        return\n    parts = []\n",
        "test_align_names_what_is_missing_on_either_side",
    ),
    Guard(
        "weights are finite",
        '    if broken:\n        raise WeightsError(\n            "weights with NaN or infinity are not saved"',
        '    if False:\n        raise WeightsError(\n            "weights with NaN or infinity are not saved"',
        "test_weights_that_are_not_finite_are_not_written",
    ),
    Guard(
        "probabilities are finite",
        '        (~finite_N, "probabilities are not finite"),\n',
        "",
        "test_opposite_infinities_in_one_row_are_not_finite",
    ),
    Guard(
        "a group is in one fold",
        '    crossing = spread[spread["min"] < spread["max"]]\n',
        '    crossing = spread[spread["min"] > spread["max"]]\n',
        "test_a_table_that_leaks_or_gapes_is_an_internal_fault",
    ),
    Guard(
        "pixels of a photo are limited",
        "    if width * height > most:\n",
        "    if False:\n",
        "test_a_bomb_is_refused_by_its_header",
    ),
    Guard(
        "a photo that was touched is compared by its digest",
        "        if digest(data) != bytes(digests[row]):\n            raise _ChangedError\n",
        "        digest(data)\n",
        "test_a_photo_that_changed_makes_a_new_pack",
    ),
    Guard(
        "pixels of the cache are compared",
        "        if wrong := [int(rows[i]) for i in new if digest(",
        "        if wrong := [int(rows[i]) for i in new[:0] if digest(",
        "test_every_changed_bit_is_found_in_its_view_and_the_others_are_not_blamed",
    ),
    Guard(
        "pseudo labels of other folds are refused",
        "    if (origin.folds_sha256, origin.k) == (folds_sha256, k):\n",
        "    if True:\n",
        "test_labels_of_other_folds_are_refused",
    ),
    Guard(
        "YAML has no tags",
        "        if event.tag is not None:\n",
        "        if False:\n",
        "test_refused_with_the_line_and_the_reason",
    ),
    Guard(
        "a row is in predictions once",
        "    if repeated and (found := sorted(repeated.intersection(wanted))):\n",
        "    if False and (found := sorted(repeated.intersection(wanted))):\n",
        "test_a_repeated_id_is_refused_where_it_is_wanted",
    ),
)


def run(plan: Plan, world: Path, work: Path) -> list[Tally]:
    """Run every named test on the whole package, where it must pass, and without its guard, where it must fail."""
    tally = Tally("guards", plan.seed)
    wanted = [guard for guard in GUARDS if plan.wants(guard.name)]
    guards = [wanted[place] for place in plan.every(len(wanted))]
    tests = {guard.test: _place(guard.test) for guard in guards}
    if missing := [name for name, place in tests.items() if not place]:
        tally.add("no such test", f"tests/ has no {', '.join(missing)}; see GUARDS in soak/guards.py")
        return [tally]
    names = [place for place in tests.values() if place]
    whole = [list(names[worker :: plan.jobs]) for worker in range(plan.jobs)]
    for text in forks.spread(lambda worker, mine: _whole(work / f"g{worker}", mine), filter(None, whole), plan.jobs):
        tally.add("wrong" if text else "passes whole", text)
    cases = [(guard.name, tests[guard.test]) for guard in guards]
    for name, text in forks.spread(lambda worker, mine: _removed(work / f"g{worker}", mine), cases, plan.jobs):
        told = text and f"guard: {name}: {text}\n    python -m soak guards --only {name!r}"
        tally.add("wrong" if text else "fails without it", told)
    return [tally]


def _whole(folder: Path, mine: list[list[str]]) -> Iterator[Any]:
    for places in mine:
        _copy(folder)
        ended = _pytest(folder, places)
        yield f"the tests fail on the whole package: {ended.text[-3000:]}" if ended.code else ""


def _removed(folder: Path, mine: list[tuple[str, str]]) -> Iterator[Any]:
    for name, place in mine:
        guard = next(one for one in GUARDS if one.name == name)
        _copy(folder)
        found = [path for path in (folder / "maskcls").rglob("*.py") if guard.old in path.read_text("utf-8")]
        times = sum(path.read_text("utf-8").count(guard.old) for path in found)
        if times != 1:
            yield name, f"its text occurs {times} times in the package; see GUARDS in soak/guards.py"
            continue
        found[0].write_text(found[0].read_text("utf-8").replace(guard.old, guard.new), "utf-8")
        ended = _pytest(folder, [place])
        if ended.code == TESTS_FAILED:
            yield name, ""
        elif ended.code == 0:
            yield name, f"{place} passes without it"
        else:
            yield name, f"pytest ended with {ended.code}: {ended.text[-1000:]}"


def _copy(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in COPIED:
        source = PROJECT_DIR / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)


def _place(test: str) -> str | None:
    """Return `tests/…/test_x.py::test`, found by the name of the function."""
    pattern = re.compile(rf"^(?:async )?def {re.escape(test)}\(", re.M)
    found = [name for name, text in _tests().items() if pattern.search(text)]
    return f"{found[0]}::{test}" if len(found) == 1 else None


@cache
def _tests() -> dict[str, str]:
    paths = sorted((PROJECT_DIR / "tests").rglob("test_*.py"))
    return {path.relative_to(PROJECT_DIR).as_posix(): path.read_text("utf-8") for path in paths}


def _pytest(folder: Path, places: list[str]) -> forks.Ended:
    """Run tests in a child that imports the package of this folder; torch is imported already."""

    def tests() -> int:
        for name in [name for name in sys.modules if name.split(".")[0] in ("maskcls", "soak")]:
            del sys.modules[name]
        os.chdir(folder)
        os.environ["PYTHONPATH"] = str(folder)
        sys.path[:] = [str(folder), *(path for path in sys.path if Path(path or ".").resolve() != PROJECT_DIR)]
        sys.dont_write_bytecode = True
        import maskcls

        assert Path(maskcls.__file__).is_relative_to(folder), maskcls.__file__
        import pytest

        # -m "": a test counts, whether it is marked as slow or not.
        options = [
            "-q",
            "-x",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            "-m",
            "",
            "--assert=plain",
            "--rootdir",
            str(folder),
        ]
        return int(pytest.main([*options, *places]))

    return forks.run(tests, limit_s=LIMIT_S)
