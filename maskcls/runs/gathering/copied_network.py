"""A network's files copied from one run to another, where they name their new owner."""

from __future__ import annotations

from pathlib import Path

from maskcls import files, owned
from maskcls.rundir import FoldDir, WeightsDir
from maskcls.runs.integrity.done_file import mark_done, read_done
from maskcls.runs.integrity.epoch_log import read_log, write_log
from maskcls.runs.integrity.epoch_rows_file import read_rows, save_rows
from maskcls.runs.summary import read_fold_summary, write_fold_summary


def copy_network(source: FoldDir, target: FoldDir) -> None:
    """Commit a copy of a finished network: all but what was trained further from it. DONE comes last.

    Runs of one identity have equal owners, and the files are copied as they are. Other ones are read, and written again
    for their new owner: the runs were started with other paths of the same files.
    """
    assert source.root is not None
    assert target.root is not None
    same = owned.run_identity(source.root) == owned.run_identity(target.root)
    weights = [source.best, source.last, *(one for one in source.all_candidates() if one.path != source.soup.path)]
    for one in weights:
        _copy_weights(one, WeightsDir(target.path / one.path.relative_to(source.path), target.root), same=same)
    named = [source.first_batch, source.oof, source.frozen_heads]
    named += [source.log, source.summary, source.state, *source.all_epoch_rows(), source.done] if same else []
    for path in named:
        _copy(path, target.path / path.relative_to(source.path))
    if not same:
        _write_again(source, target)


def _copy_weights(source: WeightsDir, target: WeightsDir, *, same: bool) -> None:
    _copy(source.tensors, target.tensors)
    if same:
        _copy(source.meta, target.meta)
    elif source.meta.exists():
        plain = owned.without_owner(files.read_json(source.meta), source.meta, source.root)
        files.commit_json(target.meta, owned.with_owner(plain, target.meta, target.root))


def _copy(source: Path, target: Path) -> None:
    if source.exists():
        files.commit(target, files.read_file(source, files.RUN_FILE))


def _write_again(source: FoldDir, target: FoldDir) -> None:
    write_log(target, read_log(source))
    if source.state.exists():
        from maskcls.engine.checkpoint import load_state, save_state  # loads torch, for this file alone

        save_state(target.state, *load_state(source.state, root=source.root), root=target.root)
    for path in source.all_epoch_rows():
        save_rows(target.path / path.relative_to(source.path), read_rows(path, root=source.root), root=target.root)
    if source.summary.exists():
        write_fold_summary(target, read_fold_summary(source))
    done = read_done(source)
    assert done is not None
    mark_done(target, done.weights)
