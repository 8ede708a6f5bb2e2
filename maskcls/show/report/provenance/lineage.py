"""What a run was made from: data, starting weights, pseudo labels, samples; and its own networks, by hash."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from maskcls import config
from maskcls.errors import MaskclsError
from maskcls.rundir import REFIT
from maskcls.runs.generators.samples_lineage import read_samples_lineage
from maskcls.runs.lineage import PseudoLineage, read_pseudo_lineage
from maskcls.runs.networks import run_networks, weights_hash
from maskcls.runs.records.pretrained_file import read_pretrained
from maskcls.runs.reported.network_logs import network_title
from maskcls.runs.reported.reported_run import ReportedRun
from maskcls.show.pages.table import Table
from maskcls.show.report.provenance.rows_by_source import source_table
from maskcls.show.report.section import PageSettings
from maskcls.show.terminal.text import number

SHORT = 16  # digits of a hash

Line = tuple[str, str, str]


def lineage_section(reported: ReportedRun, settings: PageSettings) -> Mapping[str, Any]:
    """Return the tables of what the run was made from, of its networks, and of the notes about it."""
    made_from = [*_data_lines(reported), *_weights_lines(reported), *_pseudo_lines(reported), *_samples_lines(reported)]
    networks = list(_network_lines(reported))
    return {
        "made_from": Table(["what", "name", "sha256"], made_from, "Made from"),
        "sources": source_table(reported),
        "networks": Table(["network", "sha256 of its weights"], networks, "Networks"),
        "notes": _notes_table(reported),
    }


def _data_lines(reported: ReportedRun) -> Iterator[Line]:
    """Yield the data set and the tables that were made of it."""
    env, run = reported.environment, reported.run
    yield "data", env.data, ""
    if reported.config.data.fixes:
        yield "label corrections", reported.config.data.fixes, ""
    for path, what in (
        (run.manifest, "table of the photos and labels"),
        (run.folds, "folds"),
        (run.sealed, f"sealed {reported.noun[1]}"),
        (run.person_clustering, "photo-similarity model"),
    ):
        if path.name in env.hashes:
            yield what, path.name, _short(env.hashes[path.name])
    if env.cropping is not None:
        yield "crops", ", ".join(f"{key} {value}" for key, value in env.cropping.items()), ""


def _weights_lines(reported: ReportedRun) -> Iterator[Line]:
    """Yield what the networks of each task start from."""
    for task, cfg in config.members(reported.config).items():
        what = f"starting weights{f' of {task}' if task else ''}"
        if cfg.model.weights:
            yield what, cfg.model.weights, _short(reported.environment.weights.get(task, ""))
            yield from _pretrained_lines(Path(cfg.model.weights), reported.noun[1])
        else:
            yield what, "pretrained by timm" if cfg.model.pretrained else "none: random numbers", ""


def _pretrained_lines(weights: Path, many: str) -> Iterator[Line]:
    """Yield whose photos starting weights were pretrained on without labels, where their record is still there."""
    try:
        about = read_pretrained(weights) if weights.exists() else None
    except MaskclsError as error:
        yield "record of their pretraining", f"cannot be read: {error.what}", ""
        return
    if about is not None:
        seen = f"photos of {len(about.people):,} {many}, and {about.eval_photos:,} to predict"
        without = "" if about.without_fold is None else f", without those of fold {about.without_fold}"
        yield "pretrained without labels on", seen + without, _short(about.sha256)


def _pseudo_lines(reported: ReportedRun) -> Iterator[Line]:
    """Yield the pseudo labels and the runs whose networks made them."""
    if reported.config.data.pseudo is None:
        return
    run = reported.run
    yield "pseudo labels", reported.config.data.pseudo, _short(reported.environment.hashes.get(run.pseudo.name, ""))
    try:
        found = read_pseudo_lineage(run.pseudo)
    except MaskclsError as error:
        yield "origin of the pseudo labels", f"cannot be read: {error.what}", ""
        return
    if found is None:
        yield "origin of the pseudo labels", "not recorded", ""
    else:
        yield from _parent_lines(found)


def _parent_lines(found: PseudoLineage) -> Iterator[Line]:
    yield "pseudo-labelled photos", found.root, _short(found.data_sha256)
    for one in found.runs:
        adapted = f", adapted to the photos (predict.adapt={one.adapt.method})" if one.adapt else ""
        name = f"{one.run}, {len(one.weights)} networks{adapted}"
        yield "parent: run that labelled them", name, _short(next(iter(one.run_hashes.values()), ""))


def _samples_lines(reported: ReportedRun) -> Iterator[Line]:
    """Yield the samples, the generators that made them, and the run that left some out."""
    if reported.config.data.synth is None:
        return
    run = reported.run
    yield "samples", reported.config.data.synth, _short(reported.environment.hashes.get(run.samples.name, ""))
    try:
        found = read_samples_lineage(run.samples)
    except MaskclsError as error:
        yield "origin of the samples", f"cannot be read: {error.what}", ""
        return
    if found is None:
        yield "origin of the samples", "not recorded", ""
        return
    for one in found.makers:
        whose = "all rows" if one.fold == REFIT else f"fold {one.fold}"
        yield f"{found.kind} generator of {whose}", found.generators, _short(one.sha256)
    if found.classifier:
        yield "parent: run that compared the samples", found.classifier, _short(found.classifier_sha256)


def _network_lines(reported: ReportedRun) -> Iterator[list[str]]:
    for one in run_networks(reported.config, reported.environment.folds):
        if digest := weights_hash(one.folder(reported.run)):
            yield [network_title(one), _short(digest)]


def _notes_table(reported: ReportedRun) -> Table | None:
    rows = [
        [note.date, "; ".join(filter(None, [note.text, *_scores(note.leaderboard)])) or "-"]
        for note in reported.record.notes
    ]
    return Table(["date", "note"], rows, "Notes") if rows else None


def _scores(leaderboard: Mapping[str, float]) -> list[str]:
    return [f"{name} {number(score)}" for name, score in leaderboard.items()]


def _short(digest: str) -> str:
    return f"{digest[:SHORT]}…" if len(digest) > SHORT else digest
