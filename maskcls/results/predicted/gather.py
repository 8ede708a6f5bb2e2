"""From all parts of a prediction to its tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from maskcls import files
from maskcls.errors import DataError
from maskcls.results.predicted.formats import TableFormat, format_of
from maskcls.results.predicted.parts import Shards, gathered, unreadable
from maskcls.results.predicted.plan import PredictionPlan, parts_folder
from maskcls.results.predicted.rows import TableForm
from maskcls.results.predicted.table_file import TableOutput, WrittenTable, check_tables_free, table_aside


@dataclass(frozen=True)
class WantedTables:
    """The tables that the user asked for.

    answers          classes alone; None: not wanted.
    probabilities    also the probability of every class; None: not wanted.
    format           of both; None: by suffix.
    skip_unreadable  whether a photo that cannot be read is a row with an error.
    force            replace what is there.
    """

    answers: Path | None = None
    probabilities: Path | None = None
    format: TableFormat | None = None
    skip_unreadable: bool = False
    force: bool = False

    @property
    def paths(self) -> list[Path]:
        """The wanted ones, answers first."""
        return [path for path in (self.answers, self.probabilities) if path is not None]

    def check(self, inputs: Iterable[Path]) -> None:
        """Raise what is wrong before anything is predicted: as `check_tables_free` and `format_of`.

        inputs  files and folders that are read.

        Tables are no error while the parts of a prediction are still beside them: they may be what it wrote before it
        was killed. Then `write_tables` compares them.
        """
        begun = bool(self.paths) and parts_folder(self.paths[0]).is_dir()
        check_tables_free(*self.paths, inputs=inputs, force=self.force or begun)
        for path in self.paths:
            format_of(path, self.format)


def write_tables(shards: Shards, wanted: WantedTables) -> list[WrittenTable]:
    """Write the tables from the parts of all shards; memory holds one part.

    Raises DataError that lists photos that could not be read, unless `skip_unreadable`; what `gathered` and
    `files.commit_outputs` raise. The parts are left as they are.
    """
    if not wanted.skip_unreadable:
        refuse_unreadable(shards)
    plan = shards[0][1]
    with ExitStack() as stack:
        made = [
            stack.enter_context(table_aside(_output(path, plan, wanted), gathered(shards), plan.lineage))
            for path in wanted.paths
        ]
        main_last = [file for _, files_of_table in reversed(made) for file in files_of_table]
        files.commit_outputs(main_last, force=wanted.force)
    return [table for table, _ in made]


def _output(path: Path, plan: PredictionPlan, wanted: WantedTables) -> TableOutput:
    form = TableForm(plan.space, probabilities=path == wanted.probabilities, errors=wanted.skip_unreadable)
    return TableOutput(path, format_of(path, wanted.format), form)


def refuse_unreadable(shards: Shards) -> None:
    """Raise DataError that lists the photos that could not be read."""
    if faults := unreadable(shards):
        raise cannot_read(faults, kept=shards[0][0])


def cannot_read(faults: Sequence[str], kept: Path | None = None) -> DataError:
    """Return the error for photos that cannot be read.

    kept  folder of what was predicted.
    """
    where = None if kept is None else f"{kept}: what was predicted is kept there"
    fix = "restore these files, or leave them out; or write rows with an error for them: --skip-unreadable"
    return DataError("photos cannot be read", where=where, offenders=faults, fix=fix)
