"""maskcls runs gather: make one run of runs that trained single folds, as if one training had trained all folds."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from maskcls import config, files
from maskcls.engine.device import start
from maskcls.errors import ResultError
from maskcls.rundir import RunDir
from maskcls.runs.choices.tried import add_run
from maskcls.runs.environment import Gathering, read_environment, this_machine, write_environment
from maskcls.runs.gathering.copied_network import copy_network
from maskcls.runs.gathering.fold_runs import FoldRun, gathered_folds, missing_folds, refuse_damaged
from maskcls.runs.gathering.gather_checks import FoldRuns, computation, read_fold_runs, sources_of
from maskcls.runs.gathering.same_computation import Computation, ComputationKind, accepted_differences
from maskcls.runs.identity import identity_files
from maskcls.runs.locks import run_lock
from maskcls.runs.networks import run_networks
from maskcls.runs.records.times import add_times, read_times
from maskcls.runs.summary import read_fold_summary, read_summary
from maskcls.show.runs.gathering import GatherResult
from maskcls.show.terminal.progress import Reporter
from maskcls.training.assemble import assemble
from maskcls.training.checks import with_photos
from maskcls.training.epochs.epoch_selection import has_candidates
from maskcls.training.folds import finish_folds
from maskcls.training.known_photos import cured_by_restoring
from maskcls.training.stored_experiment import check_data_unchanged, open_experiment

HERE = "this machine, which scores the folds"


def gather_runs(
    runs: Sequence[RunDir], output: RunDir, *, accept: Sequence[ComputationKind], data: Path | None, report: Reporter
) -> GatherResult:
    """Copy the folds of several runs into a new one, choose the epochs of all folds together, and score them.

    accept  differences in how the folds were computed that are no reason to refuse; they are recorded.
    data    where the data set is; None: where it was for the first run.

    The runs are only read. The output is made aside, and gets its name when it is complete. Networks that are trained
    on all rows are left to `resume`, and the run has no scores before that.
    Raises the errors of `read_fold_runs`; ResultError for damaged runs, and for folds whose other epochs were deleted;
    those of the data set, as a resume.
    """
    with ExitStack() as held:
        for run in runs:
            held.enter_context(run_lock.reading(run))
        with report.busy("reading the runs"):
            given = read_fold_runs(runs, output, accept=accept, data=data)
        if given.complete:
            report.note(f"{output.path} is complete; nothing to do")
            return _result(given, output, given.accepted, report)
        accelerator = start(given.parts[0].cfg.device, settable=False)
        here = Computation(HERE, this_machine(accelerator.device, given.parts[0].env.processes), {})
        accepted = [*given.accepted, *accepted_differences(computation(given.parts[0]), here, accept)]
        for line in given.notes:
            report.note(line)
        with report.busy("checking every file of the runs"):
            for part in given.parts:
                refuse_damaged(part)
            folds = gathered_folds(given.parts)
            refuse_lost_epochs(given.parts, folds)
        with files.as_unwritten(output.path), files.folder_aside(output.path) as draft:
            run = RunDir(draft)
            with report.busy("copying the networks"):
                _copy_runs(given.parts, run, accepted, data)
            with report.busy("reading the data set"), cured_by_restoring():
                experiment, _ = open_experiment(run, data)
                check_data_unchanged(experiment)
            with cured_by_restoring():
                experiment = with_photos(experiment, accelerator, report)
            for member in experiment.members:
                finish_folds(experiment, member, folds, accelerator, report)
            if not _networks_left(run):
                with report.busy("scoring the out-of-fold rows"):
                    assemble(experiment, folds)
            files.put_folder(draft, output.path)
        return _result(given, output, accepted, report)


def _result(given: FoldRuns, output: RunDir, accepted: Sequence[str], report: Reporter) -> GatherResult:
    """Register a run that is there among those tried on its rows, and return what was gathered."""
    if not_counted := add_run(output):
        report.note(not_counted)
    return GatherResult(
        output.path,
        parts=tuple((part.name, part.env.folds) for part in given.parts),
        missing=tuple(missing_folds(given.parts, output.path)),
        accepted=tuple(accepted),
        left=_networks_left(output),
        summary=read_summary(output),
    )


def _networks_left(run: RunDir) -> tuple[str, ...]:
    """Return the titles of the networks that are trained after the folds, by `resume`."""
    networks = run_networks(config.of_run(run.config), read_environment(run).folds)
    return tuple(network.title for network in networks if not network.folder(run).done.exists())


def refuse_lost_epochs(parts: Sequence[FoldRun], folds: Sequence[int]) -> None:
    """Raise ResultError for folds whose epoch other folds would choose, and whose other epochs are not on disk."""
    lost = []
    for part in parts:
        members = config.members(part.cfg)
        for network in part.networks:
            folder, kept = network.folder(part.run), members[network.task].train.keep_epochs
            if read_fold_summary(folder).among not in ((), tuple(folds)) and not has_candidates(folder, kept):
                lost.append(f"{network.title} of {part.name}")
    if lost:
        raise ResultError(
            "the weights of the epochs to choose from are not on disk",
            offenders=lost,
            got="maskcls runs prune has deleted them",
            fix="train these folds again, and gather before pruning",
        )


def _copy_runs(parts: Sequence[FoldRun], run: RunDir, accepted: Sequence[str], data: Path | None) -> None:
    """Commit a run that has the identity of the first of these runs, and the networks of all of them."""
    first = parts[0]
    for path in identity_files(first.run):
        files.commit(run.path / path.name, files.read_file(path, files.RUN_FILE))
    changes = {
        "data": first.env.data if data is None else str(data.resolve()),
        "folds": gathered_folds(parts),
        "gathered": Gathering(runs=sources_of(parts), accepted=tuple(accepted)),
    }
    write_environment(run, first.env.model_copy(update=changes))
    for part in parts:
        for network in part.networks:
            copy_network(network.folder(part.run), network.folder(run))
    for part in parts:
        times = read_times(part.run)
        for one in times.commands if times else ():
            add_times(run, read_times(run), one)
