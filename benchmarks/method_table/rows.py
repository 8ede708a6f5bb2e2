"""The base and the rows of a YAML file that are compared with it, each with its own overrides."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from maskcls import config, files
from maskcls.config.faults import ConfigSource, config_error, read_faults
from maskcls.config.keys import flatten
from maskcls.config.overrides import parse_override, refuse_set_twice
from maskcls.config.yaml12 import read_yaml
from maskcls.errors import ConfigError, MaskclsError, UsageError, nearest
from maskcls.rundir import RunDir
from maskcls.schema import Config, Section
from method_table.text import one_line

BASE = "base"
FAMILY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


class _Base(Section):
    config: str
    folds: list[int]
    overrides: list[str]


class _Rows(Section):
    base: _Base
    families: dict[str, dict[str, list[str]]]


@dataclass(frozen=True)
class Row:
    """One row of the table: its own overrides, and the stem of its run folders (the base's, if it equals the base)."""

    family: str
    name: str
    overrides: tuple[str, ...]
    folder: str

    @property
    def title(self) -> str:
        """`family/name`, or `base`."""
        return f"{self.family}/{self.name}" if self.family else self.name

    @property
    def is_base(self) -> bool:
        """Whether its settings equal the base's."""
        return self.folder == BASE

    def run(self, out: Path, seed: int) -> RunDir:
        """Return the run of one seed."""
        return RunDir(out / f"{self.folder}.s{seed}")


@dataclass(frozen=True)
class Plan:
    """The base and all rows, in the file's order; saved in the output folder, for `table`."""

    config: str
    overrides: tuple[str, ...]
    folds: tuple[int, ...]
    rows: tuple[Row, ...]
    command: str = ""

    @property
    def base(self) -> Row:
        """The base as a row without overrides."""
        return Row("", BASE, (), BASE)

    def words(self, row: Row, seed: int) -> list[str]:
        """Return the overrides of one run; of those of one key the last one alone, as `maskcls train` refuses two."""
        return last_of_each_key([*self.overrides, *row.overrides, f"seed={seed}"])

    def settings(self, row: Row, seed: int) -> Config:
        """Resolve the configuration of one run; raises ConfigError or UsageError."""
        words = self.words(row, seed)
        refuse_set_twice(words)
        return config.load(config.find(Path(self.config)), words)[0]

    @staticmethod
    def load(path: Path) -> Plan:
        """Read the plan that `run` saved in the output folder."""
        data = files.read_json(path)
        rows = tuple(Row(**(row | {"overrides": tuple(row["overrides"])})) for row in data["rows"])
        overrides, folds = tuple(data["overrides"]), tuple(data["folds"])
        return Plan(data["config"], overrides, folds, rows, data["command"])


def last_of_each_key(overrides: Sequence[str]) -> list[str]:
    """Return the overrides without those of which every key is set again by later ones.

    >>> last_of_each_key(["optim.lr=1", "seed=1", "lr=2", "seed=3"])
    ['lr=2', 'seed=3']
    """
    keys = [set(flatten(dict([parse_override(text)]))) for text in overrides]
    return [text for place, text in enumerate(overrides) if keys[place] - set().union(*keys[place + 1 :])]


def read_plan(path: Path, *, overrides: Sequence[str] = (), folds: Sequence[int] = (), command: str = "") -> Plan:
    """Read the rows of a YAML file and resolve the configuration of each, before anything is trained.

    overrides  further overrides of the base, and so of every row; a row's own overrides come after them.
    folds      instead of the folds of the file.

    Raises ConfigError that lists every wrong row.
    """
    try:
        data = _Rows.model_validate(read_yaml(path))
    except ValidationError as error:
        raise config_error(read_faults(error, _Rows), ConfigSource(str(path))) from None
    names = [(family, name) for family, rows in data.families.items() for name in rows]
    bad = [f"{f}/{n}" for f, n in names if f == BASE or not (FAMILY.fullmatch(f) and NAME.fullmatch(n))]
    if bad or not names:
        fix = "letters, digits, _ and -, in a row's name also . and +; not base"
        raise ConfigError("row names that cannot name a folder", where=str(path), expected=fix, offenders=bad)
    base = Plan(
        data.base.config, (*data.base.overrides, *overrides), tuple(sorted(folds or data.base.folds)), (), command
    )
    rows, faults = [], []
    same = config.to_yaml(base.settings(base.base, 0))
    for family, name in names:
        row = Row(family, name, tuple(data.families[family][name]), f"{family}.{name}")
        try:
            is_base = config.to_yaml(base.settings(row, 0)) == same
        except MaskclsError as error:
            faults.append(f"{row.title}: " + one_line(error))
            continue
        rows.append(Row(family, name, row.overrides, BASE) if is_base else row)
    if faults:
        raise ConfigError("rows cannot be trained", where=str(path), offenders=faults)
    return Plan(base.config, base.overrides, base.folds, tuple(rows), command)


def choose(plan: Plan, only: Sequence[str]) -> list[Row]:
    """Return the base and the rows of these names (`family` or `family/name`; default: all); else UsageError."""
    known = {word: None for row in plan.rows for word in (row.family, row.title)}
    for word in only:
        if word not in known:
            hint = nearest(word, list(known))
            raise UsageError(
                "no such row", where="--only", got=repr(word), fix=f"did you mean {hint!r}?" if hint else None
            )
    rows = [row for row in plan.rows if not only or row.family in only or row.title in only]
    return [plan.base, *(row for row in rows if not row.is_base)]
