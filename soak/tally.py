"""What a part of the soak found, and the table of all parts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """One row of the final table.

    what      the part and what it worked on, such as `mutants: answers`.
    count     cases tried. `outcomes` says how they ended, such as {"refused": 17, "read": 3}.
    failures  one line per failed case; it ends with the command that repeats the case.
    """

    what: str
    seed: int
    count: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, outcome: str, failure: str = "") -> None:
        """Count one case; a failure is also listed."""
        self.count += 1
        self.outcomes[outcome] += 1
        if failure:
            self.failures.append(failure)


def table(tallies: list[Tally], seconds: float) -> str:
    """Return the table that is printed at the end.

    >>> print(table([Tally("kills: train", 3, 2, Counter({"same": 2}))], 1.0))
    what          count  seed  failures  outcomes
    kills: train      2     3         0  2 same
    total             2               0  1 s
    """
    rows = [("what", "count", "seed", "failures", "outcomes")]
    for one in tallies:
        outcomes = ", ".join(f"{count:,} {name}" for name, count in one.outcomes.most_common())
        rows.append((one.what, f"{one.count:,}", str(one.seed), str(len(one.failures)), outcomes))
    failures = sum(len(one.failures) for one in tallies)
    rows.append(("total", f"{sum(one.count for one in tallies):,}", "", str(failures), f"{seconds:.0f} s"))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return "\n".join(
        f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}  {row[4]}".rstrip()
        for row in rows
    )
