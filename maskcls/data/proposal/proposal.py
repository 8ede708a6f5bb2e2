"""The whole proposal for a data set: labels, recipe, and the settings of both as a configuration takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from maskcls.data.photos.header_sizes import Size, sample_sizes
from maskcls.data.proposal.input_size import describe_sizes
from maskcls.data.proposal.of_data import LabelledPhotos
from maskcls.data.proposal.proposed import ProposedLabels
from maskcls.data.proposal.recipe import Facts, ProposedSetting, pretrained_settings, propose_recipe
from maskcls.errors import DataError
from maskcls.labels import CONTEST

MOST_HEADERS = 500


@dataclass(frozen=True)
class Proposal:
    """A proposed configuration.

    recipe      settings with reasons; pretrained: those that change with pretrained weights.
    facts       what the recipe depends on.
    unreadable  photos of the sample whose header cannot be read.
    """

    labels: ProposedLabels
    recipe: tuple[ProposedSetting, ...]
    pretrained: tuple[ProposedSetting, ...]
    facts: Facts
    unreadable: tuple[str, ...]


def propose(found: LabelledPhotos, *, cores: int, gpu: str) -> Proposal:
    """Return a proposal for labelled photos; the headers of at most MOST_HEADERS of them are read.

    cores, gpu  of this machine, see `Facts`.

    Raises DataError if no header can be read.
    """
    labels, root = found.labels, found.root
    sizes, unread = sample_sizes(root, found.paths, MOST_HEADERS)
    if not sizes:
        fix = "correct the column of paths: they are relative to the table's own folder"
        raise DataError("no photo can be read", where=str(root), offenders=unread, fix=fix)
    facts = _facts(labels, sizes, cores=cores, gpu=gpu)
    return Proposal(labels, propose_recipe(facts), pretrained_settings(facts), facts, tuple(unread))


def _facts(labels: ProposedLabels, sizes: Sequence[Size], *, cores: int, gpu: str) -> Facts:
    of_faces = {task.name for task in CONTEST.tasks}
    return Facts(
        photos=labels.photos,
        rarest=labels.rarest,
        groups=labels.noun[1],
        imbalance=max((max(one.photos) / max(1, min(one.photos)) for one in labels.tasks), default=1.0),
        sizes=tuple(sizes),
        shapes=describe_sizes(sizes),
        faces=any(one.task.name in of_faces for one in labels.tasks),
        cores=cores,
        gpu=gpu,
    )
