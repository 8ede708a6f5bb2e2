"""Where the samples of a run come from, read from their sidecar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskcls.results.added.set_names import set_number
from maskcls.results.csv_with_origin import read_sidecar
from maskcls.results.synth.sample_columns import SAMPLES
from maskcls.results.synth.sample_table import SampleMaker


@dataclass(frozen=True)
class SamplesLineage:
    """What samples were made from.

    kind        of the generators, such as "dcgan". generators: the name of their folder; makers: each, by its hash.
    classifier  the run whose networks left samples out, "" for none; classifier_sha256: of its configuration.
    """

    kind: str
    generators: str
    makers: tuple[SampleMaker, ...]
    classifier: str
    classifier_sha256: str


def read_samples_lineage(table: Path) -> SamplesLineage | None:
    """Read the lineage beside a table of samples; None without one, DataError when it is damaged."""
    return read_sidecar(table, SAMPLES, _samples_lineage)


def _samples_lineage(data: Mapping[str, Any]) -> SamplesLineage:
    lineage, found = data["lineage"], dict[SampleMaker, None]()
    for one in data["sets"]:
        for maker in one["generators"]:
            found[SampleMaker(set_number(maker["fold"]), str(maker["sha256"]))] = None
    hashes = lineage.get("classifier_hashes") or {}
    return SamplesLineage(
        str(data["generator"]),
        str(lineage.get("generators") or "not recorded"),
        tuple(found),
        str(lineage.get("classifier") or ""),
        str(next(iter(hashes.values()), "")),
    )
