"""What `maskcls data init` prints: the proposed tasks, what was left out, and the next command."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from maskcls.data.proposal.of_data import label_settings
from maskcls.data.proposal.proposal import Proposal
from maskcls.data.proposal.proposed import ProposedLabels
from maskcls.errors import shell_word
from maskcls.groupnouns import PHOTOS
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import number_of, say, show


def print_proposal(proposal: Proposal, data: Path, file: Path, *, json: bool = False) -> None:
    """Print tasks, groups, photo sizes, columns that are no task, notes, and how to train."""
    following = f"maskcls train {shell_word(data)} --config {shell_word(file)} --run runs/first"
    if json:
        print_json(_data(proposal) | {"file": str(file), "next": following})
        return
    labels = proposal.labels
    of = ", each on its own" if labels.noun == PHOTOS else f" of {number_of(labels.groups, labels.noun)}"
    say(f"{data}: {number_of(labels.photos, PHOTOS)}{of}")
    show(_tasks(labels))
    for line in _lines(proposal):
        say(line)
    say(f"wrote {file}")
    say(f"next: {following}")


def _tasks(labels: ProposedLabels) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("task", "classes", "rarest class"):
        table.add_column(name, overflow="fold")
    table.add_column(f"its {labels.noun[1]}", justify="right", no_wrap=True)
    for one in labels.tasks:
        names, rarest = one.task.classes, one.groups.index(one.rarest)
        listed = ", ".join(names[:6]) + (f", … ({len(names)})" if len(names) > 6 else "")
        table.add_row(one.task.name, listed, names[rarest], f"{one.rarest:,}")
    return table


def _lines(proposal: Proposal) -> Iterator[str]:
    labels, chosen = proposal.labels, {choice.key: choice.value for choice in proposal.recipe}
    height, width = chosen["transforms.size"]
    for column, reason in labels.left_out.items():
        yield f"no task: {column} ({reason})"
    yield f"photos: {proposal.facts.shapes}; the network gets {height} x {width}"
    yield (
        f"recipe: {chosen['model.backbone']}, {chosen['folds.k']} folds x {chosen['train.epochs']} epochs, "
        "random weights; the file says how to use pretrained ones"
    )
    if proposal.unreadable:
        count = len(proposal.unreadable)
        yield f"note: {count} of {count + len(proposal.facts.sizes)} photos cannot be read; see: maskcls data check"
    yield from (f"note: {note}" for note in labels.notes)


def _data(proposal: Proposal) -> dict[str, object]:
    labels = proposal.labels
    counts = [
        {"name": one.task.name, "photos": list(one.photos), "groups": list(one.groups), "unknown": one.unknown}
        | {"reason": one.reason}
        for one in labels.tasks
    ]
    return {
        "photos": labels.photos,
        "groups": labels.groups,
        "settings": label_settings(labels),
        "tasks": counts,
        "left_out": dict(labels.left_out),
        "notes": list(labels.notes),
        "recipe": [asdict(choice) for choice in proposal.recipe],
        "pretrained": {choice.key: choice.value for choice in proposal.pretrained},
        "photo_sizes": proposal.facts.shapes,
        "unreadable": list(proposal.unreadable),
    }
