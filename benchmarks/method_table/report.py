"""The comparison as Markdown and as JSON."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from method_table.comparison import HELPS, HURTS, NOISE, Line, Table
from method_table.text import number

FILES = ("model.weights", "data.fixes", "data.pseudo")  # ends of the keys whose value is a file of the user


def report(table: Table, *, today: str, command: str) -> str:
    """Return the whole report as Markdown."""
    parts = [heading(table, today, command), base_part(table)]
    for family in dict.fromkeys(line.row.family for line in table.lines):
        lines = [line for line in table.lines if line.row.family == family]
        parts.append(f"## {family}\n\n{family_table(lines, table.scored.space.names)}")
    if notes := [f"- `{line.row.title}`, {note}" for line in table.lines for note in line.notes]:
        parts.append("## Notes\n\n" + "\n".join(notes))
    parts.append("## What the rows set\n\n" + "\n".join(f"- `{r.title}`: {code(r.overrides)}" for r in table.plan.rows))
    return "\n\n".join(parts) + "\n"


def heading(table: Table, today: str, command: str) -> str:
    """Return the head of the report: commands, data, budget, seeds, versions, and how to read the table."""
    scored, first, plan = table.scored, next(iter(table.base.values())), table.plan
    k, trained = first.settings["folds.k"], listed(first.folds)
    weights = listed(first.identity["starting weights"])
    versions = {name: listed(dict.fromkeys(d.versions[name] for d in table.base.values())) for name in first.versions}
    return "\n".join(
        [
            "# Methods against one base",
            "",
            "One training per row and seed; all settings that a row does not name are those of the base. Made by",
            "",
            f"    {plan.command}",
            f"    {command}",
            "",
            f"- Data: {scored.photos_in_all:,} photos of {scored.people_in_all:,} people. Scored out of fold: "
            f"{len(scored.ids):,} photos of {len(set(scored.people.tolist())):,} people, "
            f"fold{'s' * (len(first.folds) > 1)} {trained} of {k}. Table {first.identity['rows or labels']}, "
            f"folds {first.identity['folds']}.",
            f"- Budget: `{without_file(plan.config)}` with {code(plan.overrides)}"
            + (f"; FILE is {weights} (sha256, its first 12 digits)." if weights else "."),
            f"- Seeds: {listed(table.base)}. Date: {today}. Versions: "
            + ", ".join(f"{name} {value}" for name, value in versions.items())
            + ".",
            "- Difference: macro-F1 minus the base's on the same rows and seeds, with a 95 % interval over",
            "  people. The columns of the tasks are differences too. Time: training seconds, relative to the base.",
            f'- "{HELPS}": the interval is above 0; "{HURTS}": below 0; "{NOISE}": it includes 0. The interval covers',
            "  the choice of people, not of seeds. About one row in twenty is above or below 0 only by chance.",
        ]
    )


def base_part(table: Table) -> str:
    """Return the base's own scores and seconds."""
    names, seeds = table.scored.space.names, list(table.base)
    scores = [table.scores[seed] for seed in seeds]
    row = [number(statistics.mean(s.macro_f1 for s in scores)), listed(number(s.macro_f1) for s in scores)]
    row += [number(statistics.mean(s.tasks[name].macro_f1 for s in scores)) for name in names]
    row.append(f"{statistics.mean(done.seconds for done in table.base.values()):.0f}")
    return "## The base\n\n" + markdown(["macro-F1", f"seed {listed(seeds)}", *names, "seconds per seed"], [row])


def family_table(lines: Sequence[Line], names: Sequence[str]) -> str:
    """Return the rows of one family as a table."""
    head = ["name", "macro-F1", "by seed", "difference", "95 % interval", *names, "time", "verdict"]
    return markdown(head, [[line.row.name, *cells(line, names), line.verdict] for line in lines])


def cells(line: Line, names: Sequence[str]) -> list[str]:
    """Return the figures of one row; a dash for unknown figures."""
    d = line.difference
    shown = [number(line.score), listed(number(value) for value in line.scores.values())]
    shown += [f"{d.value:+.4f}", f"{d.low:+.4f} .. {d.high:+.4f}"] if d else ["-", "-"]
    shown += [f"{line.tasks[name]:+.4f}" if line.tasks else "-" for name in names]
    return [*shown, "-" if line.time is None else f"{line.time:.2f}"]


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns are also aligned as plain text.

    >>> print(markdown(["name", "F1"], [["a", "0.5000"]]))
    | name | F1     |
    |------|--------|
    | a    | 0.5000 |
    """
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = ["| " + " | ".join(f"{c:{w}}" for c, w in zip(row, widths, strict=True)) + " |" for row in (head, *rows)]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def listed(values: Any) -> str:
    """Return values separated by commas."""
    return ", ".join(map(str, values))


def code(overrides: Sequence[str]) -> str:
    """Return overrides as Markdown, without the files' paths."""
    return ", ".join(f"`{text}`" for text in dict.fromkeys(map(without_file, overrides))) or "nothing"


def without_file(text: str) -> str:
    """Replace the user's own paths in a word of a command.

    >>> without_file("model.weights=here/trunk.safetensors"), without_file("optim.lr=1e-4"), without_file("/tmp/runs")
    ('model.weights=FILE', 'optim.lr=1e-4', 'runs')
    """
    key, equals, value = text.partition("=")
    if equals and value != "null" and (key.endswith(FILES) or Path(value).is_file()):
        return f"{key}=FILE"
    return Path(text).name if text.startswith("/") else text


def shown_command(argv: Sequence[str], data: Path | None = None) -> str:
    """Return the command line, with DATA and FILE in place of the user's paths.

    >>> shown_command(["run", "/photos", "--only", "age", "loss/ce", "--set", "model.weights=/w.pt"], Path("/photos"))
    'python benchmarks/methods.py run DATA --set model.weights=FILE'
    """
    argv = list(argv)
    if "--only" in argv:  # it only selects what to train now, and changes no figure
        at = argv.index("--only")
        end = next((i for i in range(at + 1, len(argv)) if argv[i].startswith("--")), len(argv))
        argv = argv[:at] + argv[end:]
    words = ["DATA" if data is not None and word == str(data) else without_file(word) for word in argv]
    return "python benchmarks/methods.py " + shlex.join(words)


def as_json(table: Table, *, today: str, command: str) -> dict[str, Any]:
    """Return everything the report shows as plain data."""
    first = next(iter(table.base.values()))
    base = {
        seed: {"macro_f1": found.macro_f1, "tasks": {n: t.macro_f1 for n, t in found.tasks.items()}}
        | {"seconds": table.base[seed].seconds, "versions": table.base[seed].versions}
        for seed, found in table.scores.items()
    }
    header = {"date": today, "commands": [table.plan.command, command], "identity": first.identity}
    header |= {
        "config": without_file(table.plan.config),
        "overrides": [without_file(text) for text in table.plan.overrides],
    }
    rows = [asdict(line) | {"macro_f1": line.score} for line in table.lines]
    return {"header": header, "base": base, "rows": rows}
