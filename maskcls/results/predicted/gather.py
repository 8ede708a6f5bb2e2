"""From all parts of a prediction to its tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maskcls.errors import DataError, MaskclsError
from maskcls.results.predicted.formats import TableFormat, format_of
from maskcls.results.predicted.parts import Shards, gathered, unreadable
from maskcls.results.predicted.plan import PLAN_FILE, parts_folder, read_plan
from maskcls.results.predicted.rows import TableForm
from maskcls.results.predicted.table_file import TableOutput, WrittenTable, are_of, check_tables_free, write_table_file


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

    @property
    def may_replace(self) -> bool:
        """Whether tables that exist are replaced: by `force`, or because the parts beside them are theirs."""
        return self.force or self._are_left_behind()

    def _are_left_behind(self) -> bool:
        folder = parts_folder(self.paths[0]) if self.paths else Path()
        try:
            return (folder / PLAN_FILE).is_file() and are_of(read_plan(folder).lineage, self.paths)
        except MaskclsError:
            return False  # another check says what is wrong with the plan

    def check(self) -> None:
        """Raise what is wrong before anything is predicted: as `check_tables_free` and `format_of`.

        Tables that an interrupted prediction has written are no error while its parts are still beside them.
        """
        check_tables_free(*self.paths, force=self.may_replace)
        for path in self.paths:
            format_of(path, self.format)


def write_tables(shards: Shards, wanted: WantedTables) -> list[WrittenTable]:
    """Write the tables from the parts of all shards; memory holds one part.

    Raises DataError that lists photos that could not be read, unless `skip_unreadable`; what `gathered` and
    `write_table_file` raise. The parts are left as they are.
    """
    if not wanted.skip_unreadable:
        refuse_unreadable(shards)
    plan, replace = shards[0][1], wanted.may_replace
    return [
        write_table_file(
            TableOutput(
                path,
                format_of(path, wanted.format),
                TableForm(plan.space, probabilities=path == wanted.probabilities, errors=wanted.skip_unreadable),
            ),
            gathered(shards),
            plan.lineage,
            force=replace,
        )
        for path in wanted.paths
    ]


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
