"""What `maskcls debug` prints: the checks of each network, the scores of simple models, error parts and curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from maskcls.errors import visible
from maskcls.groupnouns import Noun
from maskcls.results.diagnosis.error_parts import ErrorPart, ErrorParts
from maskcls.results.diagnosis.finding import Finding, Verdict, first_cause, purpose
from maskcls.results.diagnosis.learning_curve import Curve, Projection
from maskcls.results.diagnosis.scored import Diagnosis, ModelScores
from maskcls.show.terminal.json_output import NONE, Versions, print_json
from maskcls.show.terminal.text import number, plain_table, say, show, span

WORDS: Mapping[Verdict, str] = {"pass": "pass", "fail": "FAIL", "unknown": "?"}
INDENT = 18  # columns before what a check found


def print_diagnoses(found: Sequence[Diagnosis], *, versions: Versions = NONE, json: bool = False) -> None:
    """Print all networks, or with `json` everything as plain data."""
    if json:
        networks = [diagnosis_json(one) for one in found]
        print_json({"ok": not failures(found), "networks": networks, "other_versions": dict(versions)})
        return
    for one in found:
        if one.network:
            say(f"network of {one.network}")
        for line in check_lines(one):
            say(visible(line), INDENT)
        for print_part in (_print_models, _print_parts, _print_curves):
            print_part(one)
        say()
        say(conclusion(one))


def failures(found: Sequence[Diagnosis]) -> list[Finding]:
    """Return all findings that failed."""
    return [finding for one in found for finding in one.findings if finding.verdict == "fail"]


def diagnosis_json(found: Diagnosis) -> dict[str, Any]:
    """Return plain data of one network, with the meaning and the usual causes of every check."""
    first = first_cause(found.findings)
    about = {one.check: purpose(one.check, found.noun) for one in found.findings}
    return {
        "network": found.network,
        "cause": first.cause if first else None,
        "checks": [
            {**asdict(one), "meaning": about[one.check].meaning, "usual_causes": list(about[one.check].causes)}
            for one in found.findings
        ],
        "models": [asdict(one) for one in found.models],
        "error_parts": [asdict(one) for one in found.parts],
        "learning_curves": [asdict(one) for one in found.curves],
        "people": found.people,
        "of_people": found.of_people,
    }


def check_lines(found: Diagnosis) -> Iterator[str]:
    """Yield the lines of all checks: what was found; of a failure also its meaning, causes and next steps."""
    for one in found.findings:
        yield f"{WORDS[one.verdict]:<5}{one.check:<16}{one.found}"
        if one.verdict == "fail":
            about = purpose(one.check, found.noun)
            yield f"{'':<5}{'should be':<16}{about.meaning}"
            if one.cause:
                yield f"{'':<5}{'cause':<16}{one.cause}"
            yield f"{'':<5}{'usual causes':<16}{'; '.join(about.causes)}"
        if one.next:
            for place, step in enumerate(one.next):
                yield f"{'':<5}{'' if place else 'next':<16}{step}"


def conclusion(found: Diagnosis) -> str:
    """Return the last line: the cause that explains all failures, or that all checks pass."""
    failed = [one for one in found.findings if one.verdict == "fail"]
    first = first_cause(found.findings)
    if first is None:
        unknown = [one.check for one in found.findings if one.verdict == "unknown"]
        rest = f"; cannot be told: {', '.join(unknown)}" if unknown else ""
        return f"no check failed{rest}"
    later = [one.check for one in failed if one is not first]
    follows = f"; the failures of {', '.join(later)} may follow from it" if later else ""
    return f"most probable cause: {first.cause or first.check} (check {first.check}){follows}"


def model_rows(models: Sequence[ModelScores]) -> list[list[str]]:
    """Return a row of cells per model: what it is, joint macro-F1, and that of each task."""
    return [[one.about, number(one.macro_f1, 3), *(number(score, 3) for score in one.tasks.values())] for one in models]


def part_rows(parts: Sequence[ErrorParts], write: Callable[[ErrorPart], str]) -> list[list[str]]:
    """Return a row of cells per labelling: macro-F1 on training and held-out people, and the parts of the error."""
    return [
        [one.name, number(one.train, 3), number(one.valid, 3), number(one.sealed, 3), *map(write, one.parts)]
        for one in parts
    ]


def curve_rows(curves: Sequence[Curve]) -> list[list[str]]:
    """Return a row of cells per labelling and number of people: macro-F1; the last one is projected."""
    rows = []
    for curve in curves:
        for people, error, count in zip(curve.people, curve.error, curve.trainings, strict=True):
            rows.append([curve.name, f"{people:,}", number(1 - error, 3), f"{count}"])
        rows.append([curve.name, f"{2 * curve.people[-1]:,}", projected(curve, curve.twice), "projected"])
        rows += [
            [curve.name, f"{curve.people[-1]:,}, twice of {one.what}", projected(curve, one), "projected"]
            for one in curve.classes
            if one.told and curve.name != "joint"
        ]
    return rows


def projected(curve: Curve, one: Projection) -> str:
    """Write a projected score with its interval."""
    now = 1 - curve.error[-1]
    return f"{number(now + one.gain, 3)} ({span(now + one.low, now + one.high)})"


def value_of(part: ErrorPart) -> str:
    """Write a part without its interval, which the terminal has no room for."""
    return number(part.value, 3)


def with_interval(part: ErrorPart) -> str:
    """Write a part with its interval, where it has one."""
    return value_of(part) if math.isnan(part.low) else f"{number(part.value, 3)} ({part.low:.2f} to {part.high:.2f})"


PART_HEAD = ("macro-F1", "train", "held out", "sealed", "bias", "variance", "over-fitted", "shift")


def curve_head(noun: Noun) -> tuple[str, ...]:
    """Return the heads of the columns of `curve_rows`."""
    return "macro-F1", f"training {noun[1]}", "score", "trainings"


def model_head(models: Sequence[ModelScores], noun: Noun) -> list[str]:
    """Return the heads of the columns of `model_rows`."""
    return [f"macro-F1 of held-out {noun[1]}", "joint", *models[0].tasks]


def _print_models(found: Diagnosis) -> None:
    if found.models:
        _print_table(model_head(found.models, found.noun), model_rows(found.models))


def _print_parts(found: Diagnosis) -> None:
    if found.parts:
        _print_table(PART_HEAD, part_rows(found.parts, value_of))
        say(f"bias: error on training {found.noun[1]}, of which the part that no network avoids is unknown")


def _print_curves(found: Diagnosis) -> None:
    if found.curves:
        _print_table(curve_head(found.noun), curve_rows(found.curves))
        if found.people < found.of_people:
            say(f"on {found.people:,} of {found.of_people:,} training {found.noun[1]}; a larger --minutes uses more")


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = plain_table(head[0], *head[1:])
    for row in rows:
        table.add_row(*row)
    say()
    show(table)
