"""What `maskcls runs compare` prints of more than two runs."""

from __future__ import annotations

from maskcls.errors import visible
from maskcls.groupnouns import PHOTOS
from maskcls.results.comparison.many import Best, ManyComparison
from maskcls.results.comparison.optimism import Optimism
from maskcls.show.answers.tried import NOT_COUNTED
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import number, number_of, plain_table, plural, say, show, span

SMALLEST_SHOWN = 0.001  # of an excess


def print_many(found: ManyComparison, *, json: bool = False) -> None:
    """Print a table of the runs, and the honest score of the best."""
    if json:
        print_json(found.to_json())
        return
    of = "" if found.noun == PHOTOS else f" of {number_of(found.people, found.noun)}"
    say(f"{plural(found.rows, 'row')}{of}; differences to {visible(found.names[0])}")
    table = plain_table("run", "macro-F1", "difference", "95 % interval", "p")
    table.add_row(visible(found.names[0]), number(found.scores[0]), "", "", "")
    for name, value, one in zip(found.names[1:], found.scores[1:], found.differences, strict=True):
        gain = one.difference
        ends = span(gain.low, gain.high, sign=True)
        table.add_row(visible(name), number(value), f"{gain.value:+.4f}", ends, f"{one.p:.4f}")
    show(table)
    say(f"\nintervals and p are corrected for {plural(len(found.differences), 'comparison')} (largest t)")
    say(best_line(found.best, len(found.names), found.noun[1]))
    if found.optimism:
        say(optimism_line(found.optimism))
    if found.tried > len(found.differences):
        say(f"{plural(found.tried, 'comparison')} were made on these rows in all; p counts those above")
    if not found.kept:
        say(NOT_COUNTED)


def best_line(best: Best, runs: int, of: str = "people") -> str:
    """Write the score of the best run, as it is and as it holds for other people, or what groups are called.

    >>> best_line(Best(0.69, 0.68, {0: 5}), 3)
    'best of 3 runs: macro-F1 0.6900, which is too high by the choice; chosen on other people: 0.6800'
    """
    here, others = number(best.here), number(best.others)
    if here == others:  # every part of the people chooses the same run
        return f"best of {runs:,} runs: macro-F1 {here}, also when chosen on other {of}"
    return f"best of {runs:,} runs: macro-F1 {here}, which is too high by the choice; chosen on other {of}: {others}"


def optimism_line(found: Optimism) -> str:
    """Write what a choice among the runs that were tried on the same rows is worth.

    >>> print(optimism_line(Optimism(12, 10, 0.0061, -0.0012, 0.0149)))
    12 runs were tried on these rows: the best of them scores about 0.006 too high (95 % of choices: -0.001 to +0.015)
    >>> print(optimism_line(Optimism(2, 2, 0.0001, -0.001, 0.001)))
    2 runs were tried on these rows: the best of them scores hardly too high (below 0.001)
    """
    tried = f"{found.runs:,} runs were tried on these rows"
    if found.value < SMALLEST_SHOWN:
        return f"{tried}: the best of them scores hardly too high (below {SMALLEST_SHOWN})"
    reach = f"95 % of choices: {found.low:+.3f} to {found.high:+.3f}"
    return f"{tried}: the best of them scores about {found.value:.3f} too high ({reach})"
