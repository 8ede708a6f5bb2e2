"""What `maskcls predict` prints: the files it wrote."""

from __future__ import annotations

from pathlib import Path

from maskcls.results.predicted.table_file import WrittenTable
from maskcls.results.submissions.write import Written
from maskcls.show.terminal.json_output import NONE, Versions, print_json
from maskcls.show.terminal.text import near, plural, say


def print_written(
    written: Written | WrittenTable, probabilities: Path | None = None, *, versions: Versions = NONE, json: bool = False
) -> None:
    """Print the submission's path and rows, and the file beside it that says how it was made.

    probabilities  a second table that was written.
    versions       packages of other versions than at the training: {package: [then, now]}.
    """
    about = written.path.with_suffix(".json")
    if json:
        second = {} if probabilities is None else {"probabilities": str(probabilities)}
        print_json(
            {
                "file": str(written.path),
                "sha256": written.sha256,
                "rows": written.rows,
                "provenance": str(about),
                "other_versions": dict(versions),
                **second,
            }
        )
        return
    say(f"{near(written.path)}  {plural(written.rows, 'row')}")
    say(f"{near(about)}  provenance: run, weights and data hashes")
    if probabilities is not None:
        say(f"{near(probabilities.absolute())}  the probability of every class")
