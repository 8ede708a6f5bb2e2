"""The score of a study's best trial in words: for new people, and on the rows of the search."""

from __future__ import annotations

from typing import assert_never

from maskcls.results.search.score import SearchScore
from maskcls.show.terminal.text import number, percent, plural, span

SMALLEST_SHOWN = 0.0005  # of the excess


def score_lines(score: SearchScore) -> list[str]:
    """Write the score for new people, how it was made, and the score that is too high by the choice.

    >>> from maskcls.results.scores.intervals import Interval
    >>> found = SearchScore("corrected", 0.41, Interval(0.38, 0.44, 0.95), 0.43, Interval(0.4, 0.46, 0.95), 20, 300)
    >>> print("\\n".join(score_lines(found)))
    macro-F1 for new people: 0.4100, 95 % interval 0.3800 to 0.4400
    corrected: chosen from 20 trials by resampled people, scored on those left out
    on the rows of the search: 0.4300, which is 0.0200 too high by the choice
    """
    ends = span(score.interval.low, score.interval.high)
    return [
        f"macro-F1 for new people: {number(score.macro_f1)}, {percent(score.interval.level)} interval {ends}",
        how_made(score),
        f"on the rows of the search: {number(score.naive)}{_excess(score)}",
    ]


def how_made(score: SearchScore) -> str:
    """Write how the score for new people was made."""
    match score.how:
        case "sealed":
            return f"sealed: measured on {plural(score.people, 'person')} whom no trial has seen"
        case "corrected":
            if score.tried == 1:
                return "one trial: nothing was chosen, so nothing is corrected"
            return f"corrected: chosen from {score.tried:,} trials by resampled people, scored on those left out"
        case _:
            assert_never(score.how)


def _excess(score: SearchScore) -> str:
    excess = score.naive - score.macro_f1
    if score.how == "sealed":
        return ", which the choice makes too high"
    if score.tried == 1:
        return ""
    if excess < SMALLEST_SHOWN:
        return ", hardly too high: one trial is the best whoever is asked"
    return f", which is {number(excess)} too high by the choice"
