"""The card's sections about the model, the data and the folds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from maskcls import config
from maskcls.csvfile import read_columns
from maskcls.data.rows import manifest as tables
from maskcls.groupnouns import PEOPLE, PHOTOS, Noun, with_article
from maskcls.labels import LabelSpace
from maskcls.runs.networks import predicting, run_networks
from maskcls.runs.reported.reported_run import ReportedRun
from maskcls.show.card.markdown import bullets, escaped, section, table_markdown
from maskcls.show.data.class_counts import class_counts
from maskcls.show.pages.table import Table
from maskcls.show.report.network_input import fold_row_counts, fold_row_table
from maskcls.show.terminal.text import number_of, percent
from maskcls.viewnames import parse_views

SHORT = 16  # digits of a hash


def model_part(reported: ReportedRun) -> str:
    """Return what the model is: networks, backbone, photo size, tasks."""
    cfg = reported.config
    networks = predicting(run_networks(cfg, reported.environment.folds), cfg.predict.networks)
    lines = [f"networks that predict: {len(networks):,}; their probabilities are averaged over folds and seeds"]
    for task, member in config.members(cfg).items():
        of = f" of {escaped(task)}" if task else ""
        height, width = member.transforms.size
        lines.append(f"backbone{of}: {escaped(str(member.model.trunk))} (timm), photos of {height} x {width} pixels")
        lines.append(f"starting weights{of}: {_starting_weights(reported, task)}")
    lines.append(f"views per photo: {len(parse_views(cfg.predict.views))} (predict.views={cfg.predict.views})")
    rows = [[task.name, ", ".join(task.classes)] for task in cfg.space.tasks]
    classes = Table(["task", "classes"], rows)
    return section("Model", bullets(lines), table_markdown(classes), f"Joint classes: {cfg.space.size:,}.")


def data_part(reported: ReportedRun) -> str:
    """Return the rows, groups and classes of the training table; no file names and no names of groups."""
    run, space = reported.run, reported.config.space
    frame = tables.from_csv(run.manifest, space)
    real = frame[tables.real_rows(frame)]
    classes = _class_table(real, space, reported.noun)
    return section("Training data", bullets(_data_lines(reported, frame, real)), table_markdown(classes))


def folds_part(reported: ReportedRun) -> str:
    """Return how the groups were split, and the rows of each fold."""
    how, trained, (one, many) = reported.config.folds, reported.environment.folds, reported.noun
    if how.k == 1:
        text = f"One part of the {many} ({percent(how.holdout)}) was held out; the network was trained on the others."
    else:
        text = (
            f"The {many} were split into {how.k} parts (folds). The network of a fold was trained on the other parts "
            "and scored on this one."
        )
        if reported.noun != PHOTOS:
            text += f" All photos of {with_article(one)} are in one fold."
    unvarying = "all tasks" if reported.noun == PHOTOS else f"the tasks that do not vary within {with_article(one)}"
    by = ", ".join(how.stratify) if how.stratify else unvarying
    lines = [f"balanced by: {escaped(by)}", f"seed of the split: {how.seed}"]
    if how.renew:
        lines.append(f"renewed: {how.renew} times")
    if len(trained) < how.k:
        lines.append(f"trained folds: {', '.join(map(str, trained))} of {how.k}")
    table = fold_row_table(list(fold_row_counts(reported.run, trained)), reported.noun)
    return section("Folds", text, bullets(lines), table_markdown(table))


def _data_lines(reported: ReportedRun, frame: pd.DataFrame, real: pd.DataFrame) -> Iterator[str]:
    env, run, cfg = reported.environment, reported.run, reported.config
    yield f"data set: {escaped(Path(env.data).name)}"
    noun = reported.noun
    of = "each a group of its own" if noun == PHOTOS else f"of {number_of(real['person'].nunique(), noun)}"
    yield f"labelled photos: {len(real):,}, {of}"
    for source, what in (("pseudo", "photos with pseudo labels"), ("synth", "samples of generators")):
        if added := int((frame["source"] == source).sum()):
            yield f"{what} (trained on, never scored): {added:,}"
    if run.sealed.exists():
        sealed = read_columns(run.sealed)["person"]
        of = "" if noun == PHOTOS else f" of {number_of(len(set(sealed)), noun)}"
        yield f"sealed: {len(sealed):,} further photos{of}, not trained on"
    if cfg.data.fixes:
        yield "labels were corrected by a file (data.fixes)"
    if env.cropping is not None:
        yield "photos are cropped to faces by maskcls data crop"
    yield f"sha256 of the table of photos and labels: {env.hashes.get(run.manifest.name, 'not recorded')}"
    where = "with what consent, and in which countries" if noun == PEOPLE else "where, and with whose consent"
    yield f"how the photos were collected, {where}: not recorded by maskcls"


def _class_table(real: pd.DataFrame, space: LabelSpace, noun: Noun) -> Table:
    counted = [] if noun == PHOTOS else [noun[1]]
    rows = [
        [task, name, *(f"{groups:,}" for _ in counted), f"{photos:,}"]
        for task, name, groups, photos in class_counts(real, space)
    ]
    return Table(["task", "class", *counted, "photos"], rows, "Labelled photos by class")


def _starting_weights(reported: ReportedRun, task: str) -> str:
    model = config.members(reported.config)[task].model
    if model.weights:
        digest = reported.environment.weights.get(task, "")
        return f"{escaped(Path(model.weights).name)}, sha256 {digest[:SHORT]}…" if digest else "a file, not recorded"
    return "pretrained by timm" if model.pretrained else "none: random numbers"
