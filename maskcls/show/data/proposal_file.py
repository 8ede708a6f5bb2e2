"""A proposal as a configuration file: every setting with its reason, every class with its photos."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from maskcls.config.overrides import written
from maskcls.config.yaml12 import MAX_BYTES, quoted_yaml
from maskcls.data.proposal.proposal import Proposal
from maskcls.data.proposal.proposed import ProposedLabels, ProposedTask
from maskcls.data.proposal.recipe import ProposedSetting, loss_reason
from maskcls.errors import DataError, shell_word
from maskcls.groupnouns import PHOTOS
from maskcls.show.terminal.text import number_of

WIDTH = 96
FEW_PHOTOS = 20_000
UNEQUAL = 2.0  # photos of the most frequent class over those of the rarest one: less is not remarked on


def file_text(proposal: Proposal, data: Path, file: Path) -> str:
    """Return the text of the configuration file.

    data, file  as they are given on the command line, for the commands in the header.

    Raises DataError for more classes than fit into a configuration file.
    """
    for detailed in (True, False):
        text = "\n".join(_lines(proposal, data, file, detailed=detailed)) + "\n"
        if len(text.encode()) <= MAX_BYTES:
            return text
    got, fix = f"{len(text.encode())} bytes", "leave columns out with --task, or join classes"
    raise DataError(
        "the classes do not fit into a configuration", got=got, expected=f"at most {MAX_BYTES} bytes", fix=fix
    )


def _lines(proposal: Proposal, data: Path, file: Path, *, detailed: bool) -> Iterator[str]:
    labels = proposal.labels
    yield from _header(labels, data, file)
    yield "data:"
    for key, value in labels.data.items():
        why = labels.columns.get(value, "")
        yield from _explained(f"  {key}: {quoted_yaml(value)}", why) if why else [f"  {key}: {quoted_yaml(value)}"]
    yield "tasks:"
    for task in labels.tasks:
        yield from _task(task, labels, detailed=detailed)
    if labels.left_out:
        yield "# Columns that are no task; `maskcls data init --task COLUMN` takes them as one:"
        yield from _indented(f"{column!r}: {reason}" for column, reason in labels.left_out.items())
    yield from _recipe(proposal)


def _header(labels: ProposedLabels, data: Path, file: Path) -> Iterator[str]:
    at, config = shell_word(data), shell_word(file)
    to_predict = f"--data {at}" if labels.to_predict else "PHOTOS"
    photos = number_of(labels.photos, PHOTOS)
    yield f"# A first configuration for {data.name}, proposed by `maskcls data init`: {photos}."
    yield "# Change what you like. All settings: maskcls config list"
    yield "#"
    yield f"# how long   maskcls train {at} --config {config} --dry-run"
    yield f"# train      maskcls train {at} --config {config} --run runs/first"
    yield f"# predict    maskcls predict runs/first {to_predict} -o predictions.csv --probabilities probabilities.csv"
    if labels.notes:
        yield "#"
        yield from _comment("Please check: " + "; ".join(labels.notes) + ".")


def _task(one: ProposedTask, labels: ProposedLabels, *, detailed: bool) -> Iterator[str]:
    unknown = f"; {number_of(one.unknown, PHOTOS)} without a label" if one.unknown else ""
    yield from _explained(f"  - name: {quoted_yaml(one.task.name)}", one.reason + unknown)
    if not detailed:
        yield f"    classes: [{', '.join(map(quoted_yaml, one.task.classes))}]"
    else:
        yield "    classes:"
        for name, photos, groups in zip(one.task.classes, one.photos, one.groups, strict=True):
            of = f" of {number_of(groups, labels.noun)}" if labels.noun != PHOTOS else ""
            yield f"      - {quoted_yaml(name)}  # {number_of(photos, PHOTOS)}{of}"
    if one.task.bins:
        yield f"    bins: {list(one.task.bins)}  # a border belongs to the class above it"


def _recipe(proposal: Proposal) -> Iterator[str]:
    facts = proposal.facts
    yield ""
    yield from _comment("The recipe: a first training with random weights, as nothing is downloaded unless you ask.")
    yield from _sections(proposal.recipe)
    if facts.imbalance >= UNEQUAL:
        yield from _comment(loss_reason(facts))
    yield ""
    few = facts.photos < FEW_PHOTOS
    yield from _comment(
        f"{facts.photos:,} photos are {'few: pretrained weights are expected to help much' if few else 'many'}. "
        "To start from weights pretrained on ImageNet, which are downloaded once, add to the command above:"
    )
    yield from (f"#     {line}" for line in wrap(pretrained_words(proposal), WIDTH, break_on_hyphens=False))
    yield from _comment("Without a network, use a local file: model.weights=FILE instead of model.pretrained=true.")


def _sections(choices: Sequence[ProposedSetting]) -> Iterator[str]:
    """Yield each section once, with its settings and their reasons."""
    section = ""
    for choice in choices:
        name, _, key = choice.key.partition(".")
        if name != section:
            yield f"{name}:"
            section = name
        yield from _explained(f"  {key}: {_value(choice.value)}", choice.reason)


def _explained(line: str, why: str) -> list[str]:
    """Return a line with its comment beside it, or above it if both are too long."""
    beside = f"{line}  # {why}"
    indent = line[: len(line) - len(line.lstrip())]
    return [beside] if len(beside) <= WIDTH else [*_comment(why, indent), line]


def pretrained_words(proposal: Proposal) -> str:
    """Return the overrides for pretrained weights as words of a command."""
    values = {one.key: written(one.value).replace(" ", "").strip('"') for one in proposal.pretrained}
    return shlex.join(f"{key}={value}" for key, value in values.items())


def _value(value: Any) -> str:
    return quoted_yaml(value) if isinstance(value, str) else written(value)


def _comment(text: str, indent: str = "") -> list[str]:
    start = f"{indent}# "
    return wrap(text, WIDTH, initial_indent=start, subsequent_indent=start, break_on_hyphens=False)


def _indented(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield from wrap(line, WIDTH, initial_indent="#   ", subsequent_indent="#     ", break_on_hyphens=False)
