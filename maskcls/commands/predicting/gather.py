"""maskcls predict --gather: the tables of a prediction from the parts of all its shards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maskcls.results.predicted.gather import WantedTables, write_tables
from maskcls.results.predicted.parts import check_shards
from maskcls.results.predicted.table_file import WrittenTable


def gather(folders: Sequence[Path], wanted: WantedTables) -> list[WrittenTable]:
    """Check that these are all shards of one prediction, and write its tables: the same bytes as without shards.

    Raises what `check_shards` and `write_tables` raise.
    """
    wanted.check(folders)
    return write_tables(check_shards(folders), wanted)
