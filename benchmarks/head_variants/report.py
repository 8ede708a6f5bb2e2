"""The table of all variants as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from head_variants.scoring import LEVEL, RULES, Compared
from head_variants.table import BASE
from maskcls.results.comparison.difference import Difference
from maskcls.results.comparison.multiple import family_level

HEAD = [
    "variant",
    "what it is",
    "argmax",
    "over the base",
    "corrected",
    "expected",
    "over the base",
    "corrected",
    "log loss of age, over the base",
    "s",
]
MODES = {"alone": "every photo alone", "grouped": "with photos that look like the same person"}


def report(found: Sequence[Compared], heading: Sequence[str], *, tried: int, divisions: int) -> str:
    """Return the whole page. tried: intervals that the correction is for."""
    variants = len({one.variant.name for one in found} - {BASE})
    of_base = [one for one in found if one.variant.name == BASE]
    said = [
        *heading,
        "",
        f"- {variants} variants, compared with the base in {tried} ways: {len(found) - len(of_base)} rows below, each"
        f" with {len(RULES)} rules. Macro-F1 of 18 classes; every figure is out of fold, the mean over"
        f" {divisions} division{'s' * (divisions > 1)} of the people into five folds.",
        "- `argmax`: the most probable class. `expected`: the rule for the highest expected macro-F1, made from the"
        " rows of the other folds.",
        "- Differences are paired, with a 95 % interval over people; in bold where it leaves out 0. `corrected`: an"
        f" interval of {100 * family_level(tried, LEVEL):.2f} % (Bonferroni), so that all {tried} hold together at"
        " 95 %. The intervals cover the choice of people, not that of folds.",
        "- All that is fitted or chosen (strengths, weights, widths) is so within the training people of a fold,"
        " with the other folds as inner folds. Fixed beforehand: thresholds of doubtful labels and of pseudo labels,"
        " the shares of co-teaching, the constants of the losses, the number of components.",
        "- s: seconds of processor time for five folds, without what earlier rows have already fitted.",
    ]
    parts = ["\n".join(said)]
    for mode, words in MODES.items():
        of_mode = [one for one in found if one.mode == mode]
        if of_mode:
            parts.append(f"## {words[0].upper()}{words[1:]}")
        for family in dict.fromkeys(one.variant.family for one in of_mode):
            rows = [cells(one) for one in of_mode if one.variant.family == family]
            parts.append(f"### {family}: {mode}\n\n{markdown(HEAD, rows)}")
    return "\n\n".join(parts) + "\n"


def cells(one: Compared) -> list[str]:
    """Return the cells of a row."""
    row = [f"`{one.variant.name}`", one.variant.what]
    first = one.variant.name == BASE
    for rule in RULES:
        row.append(f"{one.scores[rule]:.4f}")
        row += ["", ""] if first else [interval(one.plain[rule]), interval(one.corrected[rule], value=False)]
    d = one.loss_difference
    row.append(f"{one.loss:.4f}" + ("" if first else f", {marked(f'{d.value:+.4f} [{d.low:+.4f}, {d.high:+.4f}]', d)}"))
    return [*row, f"{one.seconds:.0f}"]


def interval(d: Difference, *, value: bool = True) -> str:
    """Return a difference with its interval, in bold where it leaves out 0.

    >>> interval(Difference(0.02, 0.01, 0.03, 0.99, 0.95))
    '**+0.0200 [+0.0100, +0.0300]**'
    """
    return marked(f"{f'{d.value:+.4f} ' if value else ''}[{d.low:+.4f}, {d.high:+.4f}]", d)


def marked(text: str, d: object) -> str:
    """Return the text, in bold where the interval leaves out 0."""
    low, high = getattr(d, "low"), getattr(d, "high")  # noqa: B009
    return f"**{text}**" if low > 0 or high < 0 else text


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
