"""A CSV and its sidecar belong together, whatever fails or is killed in between; for every table that has one."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskcls import files
from maskcls.errors import BusyError, DataError, ResourceError, ResultError, UsageError
from maskcls.labels import CONTEST, LabelSpace, Task
from maskcls.results.added.added_set import AddedSet
from maskcls.results.csv_with_origin import TableKind, check_free, csv_bytes, read_origin, read_sidecar, write_csv
from maskcls.results.people.group_file import read_groups, write_groups
from maskcls.results.pseudo.read_labels import read_pseudo
from maskcls.results.pseudo.write_labels import write_pseudo
from maskcls.results.submissions.write import sidecar_space, write_submission
from maskcls.rundir import REFIT

TABLE = TableKind("maskcls test", "the table", fix="make it again")
SPACE = LabelSpace((Task("t", ("x", "y")),))


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def submission(path: Path, label: int, *, force: bool = False) -> None:
    labels_N = np.array([label, 0])
    write_submission(
        path, header=("id", "ans"), ids=["a", "b"], labels=labels_N, space=CONTEST, lineage={}, force=force
    )


def groups(path: Path, label: int, *, force: bool = False) -> None:
    write_groups(path, ["a", "b"], np.array([label, 0]), weights={"wear": 1.0}, about={}, force=force)


def pseudo(path: Path, label: int, *, force: bool = False) -> None:
    texts = np.array(["a"])
    one = AddedSet(texts, texts, {"t": np.array([label])}, None, np.ones(1))
    write_pseudo(path, {0: one, REFIT: one}, SPACE, folds_sha256="0", k=1, lineage={}, force=force)


WRITERS = {"submission": submission, "groups": groups, "pseudo": pseudo}
READERS: dict[str, Callable[[Path], object]] = {
    "submission": sidecar_space,
    "groups": lambda path: read_groups(path, ["a", "b"]).weights,
    "pseudo": lambda path: read_pseudo(path, SPACE, folds_sha256="0", k=1),
}


def dies_at_rename(n: int, name: str, path: Path) -> int:
    """Write a table in a copy of this process that ends right before its n-th rename; return the exit code."""
    with warnings.catch_warnings():
        # Newer versions of Python warn of other threads, whose locks the copy may inherit: it takes none of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        real, left = os.replace, n

        def replace(*args: Any) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os._exit(9)  # as a kill does: no handler runs
            real(*args)

        code = 1
        try:
            os.replace = replace  # type: ignore[assignment]
            WRITERS[name](path, 1, force=True)
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("name", WRITERS)
def test_a_kill_at_any_rename_leaves_the_old_csv_or_a_pair_that_is_refused(
    tmp_path: Path, name: str, old: bool
) -> None:
    assert len(WRITERS) == len(READERS) == 3
    write, read, killed = WRITERS[name], READERS[name], 0
    for n in range(1, 10):
        (folder := tmp_path / str(n)).mkdir()
        path = folder / "s.csv"
        if old:
            write(path, 0)
        before = content_of(folder)
        code = dies_at_rename(n, name, path)
        if code == 0:
            break
        killed += 1
        assert code == 9
        assert content_of(folder).get("s.csv") == before.get("s.csv"), n  # the CSV is the last rename
        if old and content_of(folder)["s.json"] != before["s.json"]:
            with pytest.raises(DataError, match="does not match its sidecar"):
                read(path)
            assert content_of(folder)["s.json.bak"] == before["s.json"]
        write(path, 1, force=old)  # the same command again is enough, without --force where there was none
        assert read(path) is not None
    assert killed == 2
    assert content_of(folder)["s.csv"] != before.get("s.csv")


def fail_at(n: int, real: Callable[..., Any], *, forever: bool = False) -> Callable[..., Any]:
    calls = 0

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == n or (forever and calls > n):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*args, **kwargs)

    return wrapped


@pytest.mark.parametrize("operation", ["replace", "write", "fsync", "open"])
@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_at_any_operation_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, operation: str, old: bool
) -> None:
    path, write = tmp_path / "s.csv", WRITERS[name]
    write(path, 1)
    wanted = content_of(tmp_path)
    for left in tmp_path.iterdir():
        left.unlink()
    if old:
        write(path, 0)
    before, failed, real = content_of(tmp_path), 0, getattr(os, operation)
    for n in range(1, 100):
        monkeypatch.setattr(os, operation, fail_at(n, real))
        try:
            write(path, 1, force=True)
        except (ResourceError, ResultError):  # the latter: the file cannot be opened to read it back
            failed += 1
            monkeypatch.undo()
            left = {name: raw for name, raw in content_of(tmp_path).items() if not name.endswith(".bak")}
            assert left == before, n
        else:
            break
    monkeypatch.undo()
    assert failed >= 2
    assert {name: raw for name, raw in content_of(tmp_path).items() if not name.endswith(".bak")} == wanted


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("name", WRITERS)
def test_a_disk_that_stays_broken_keeps_the_old_csv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, n: int
) -> None:
    WRITERS[name](tmp_path / "s.csv", 0)
    before = (tmp_path / "s.csv").read_bytes()
    monkeypatch.setattr(os, "replace", fail_at(n, os.replace, forever=True))
    with pytest.raises(ResourceError, match="No space left"):
        WRITERS[name](tmp_path / "s.csv", 1, force=True)
    assert (tmp_path / "s.csv").read_bytes() == before
    assert not [name for name in content_of(tmp_path) if name.endswith(".tmp")]


@pytest.mark.parametrize("name", WRITERS)
def test_force_alone_replaces_and_keeps_the_old_pair(tmp_path: Path, name: str) -> None:
    path, write = tmp_path / "s.csv", WRITERS[name]
    write(path, 0)
    before = content_of(tmp_path)
    with pytest.raises(BusyError, match="the output exists"):
        write(path, 1)
    assert content_of(tmp_path) == before
    write(path, 1, force=True)
    after = content_of(tmp_path)
    assert set(after) == {"s.csv", "s.json", "s.csv.bak", "s.json.bak"}
    assert (after["s.csv.bak"], after["s.json.bak"]) == (before["s.csv"], before["s.json"])


# --- one table ---


def put(path: Path, *, force: bool = False, **details: Any) -> str:
    return write_csv(path, {"id": ["a", 'b "c"'], "n": [1, 0.1]}, TABLE, details, force=force)


def test_golden_bytes_and_what_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maskcls.results.csv_with_origin.code_sha256", lambda: "c0de")
    digest = put(tmp_path / "t.csv", more=[1])
    raw = b'id,n\na,1\n"b ""c""",0.1\n'
    assert (tmp_path / "t.csv").read_bytes() == raw
    assert digest == files.sha256(raw)
    shared = '{\n "kind": "maskcls test",\n "version": 1,\n "file": "t.csv",\n'
    of_sidecar = "4048d95dd8c25a0584062262831f6dfe3bd4ab2e7360f3a6ca4c148cb6d04770"  # sha256 of its JSON, in one line
    text = f'{shared} "sha256": "{digest}",\n "more": [\n  1\n ],\n'
    text += f' "code_sha256": "c0de",\n "digest": "{of_sidecar}"\n}}\n'
    assert (tmp_path / "t.json").read_text() == text
    line = f'{{"code_sha256":"c0de","file":"t.csv","kind":"maskcls test","more":[1],"sha256":"{digest}","version":1}}'
    assert hashlib.sha256(line.encode()).hexdigest() == of_sidecar
    assert read_origin(tmp_path / "t.csv", TABLE, lambda data: data["more"]) == (digest, [1])


def test_columns_of_unequal_length_are_a_bug(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shorter"):
        csv_bytes({"id": ["a", "b"], "n": [1]})
    with pytest.raises(ValueError, match="shorter"):
        write_csv(tmp_path / "t.csv", {"id": ["a", "b"], "n": [1]}, TABLE, {}, force=False)
    assert content_of(tmp_path) == {}


def test_a_sidecar_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    put(tmp_path / "t.csv")
    with pytest.raises(BusyError, match=r"t\.json"):
        put(tmp_path / "t.txt")  # it would share t.json
    (tmp_path / "u.json").write_text('{"mine": 1}')
    with pytest.raises(BusyError, match=r"u\.json"):
        check_free(tmp_path / "u.csv", TABLE, inputs=[], force=False)
    check_free(tmp_path / "u.csv", TABLE, inputs=[], force=True)
    (tmp_path / "t.csv").unlink()  # a kill leaves the sidecar alone
    check_free(tmp_path / "t.csv", TABLE, inputs=[], force=False)


def test_a_folder_and_a_name_without_a_sidecar_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(ResourceError, match="regular file"):
        put(tmp_path / "t.csv", force=True)
    with pytest.raises(UsageError, match=r"\.json"):
        put(tmp_path / "t.json")
    with pytest.raises(UsageError, match=r"\.json"):
        read_origin(tmp_path / "t.json", TABLE, dict)


def test_a_link_is_written_through_and_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "far").mkdir()
    put(tmp_path / "far" / "t.csv")
    before = (tmp_path / "far" / "t.csv").read_bytes()
    (tmp_path / "t.csv").symlink_to(tmp_path / "far" / "t.csv")
    monkeypatch.setattr(os, "replace", fail_at(2, os.replace))  # the sidecar, then the CSV
    with pytest.raises(ResourceError, match="No space left"):
        write_csv(tmp_path / "t.csv", {"id": ["z"]}, TABLE, {}, force=True)
    monkeypatch.undo()
    assert (tmp_path / "t.csv").is_symlink()
    assert (tmp_path / "far" / "t.csv").read_bytes() == before
    assert not (tmp_path / "t.json").exists()


def test_a_changed_csv_and_a_missing_one_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    put(path)
    path.write_bytes(path.read_bytes() + b"c,2\n")
    with pytest.raises(DataError, match="the CSV file of the table does not match its sidecar") as caught:
        read_origin(path, TABLE, dict)
    assert "make it again" in str(caught.value)
    path.unlink()
    with pytest.raises(DataError, match="cannot read the table"):
        read_origin(path, TABLE, dict)
    os.mkfifo(path)
    with pytest.raises(DataError, match="regular file"):  # and does not wait for a writer
        read_origin(path, TABLE, dict)


@pytest.mark.parametrize("damaged", ["{", "[]", '{"kind": "maskcls test", "version": 2}', '{"kind": "other"}'])
def test_a_damaged_sidecar_is_refused(tmp_path: Path, damaged: str) -> None:
    put(tmp_path / "t.csv")
    (tmp_path / "t.json").write_text(damaged)
    with pytest.raises(DataError, match="sidecar of the table cannot be read") as caught:
        read_sidecar(tmp_path / "t.csv", TABLE, dict)
    assert "maskcls test, version 1" in str(caught.value)


def test_other_kinds_are_ignored_where_the_table_says_so(tmp_path: Path) -> None:
    put(tmp_path / "t.csv")
    (tmp_path / "t.json").write_text(json.dumps({"kind": "other", "version": 1}))
    lenient = TableKind("maskcls test", "the table", fix="make it again", ignores_other_kinds=True)
    assert read_sidecar(tmp_path / "t.csv", lenient, dict) is None
    (tmp_path / "t.json").unlink()
    assert read_sidecar(tmp_path / "t.csv", TABLE, dict) is None


def test_no_table_holds_what_a_spreadsheet_runs(tmp_path: Path) -> None:
    """Also in columns beside the ids, and in their names: submissions, groups, pseudo labels, changes, corrections."""
    for columns in ({"id": ["a"], "person": ["=1"]}, {"id": ["a"], "@task": ["x"]}):
        with pytest.raises(DataError, match="as a formula"):
            csv_bytes(columns)
        with pytest.raises(DataError, match="as a formula"):
            write_csv(tmp_path / "a.csv", columns, TableKind("k", "n", "f"), {}, force=False)
    assert list(tmp_path.iterdir()) == []
    assert csv_bytes({"id": ["-1"], "n": [-1.5]}) == b"id,n\n-1,-1.5\n"
