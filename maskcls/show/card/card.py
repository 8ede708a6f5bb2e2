"""The model card: its sections put together as one Markdown page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import maskcls
from maskcls.runs.reported.reported_run import ReportedRun
from maskcls.show.card.data import data_part, folds_part, model_part
from maskcls.show.card.limits import limits_part, use_part
from maskcls.show.card.markdown import escaped
from maskcls.show.card.scores import scores_part, slices_part
from maskcls.show.card.versions import licence_part, versions_part


@dataclass(frozen=True)
class CardOf:
    """What a card is written beside.

    files  {name: sha256} of the exported files.
    parts  sections about the export in Markdown, such as how to load it; they come after the model's.
    limits  sentences in Markdown for the limits, such as that other views were scored.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    parts: Sequence[str] = ()
    limits: Sequence[str] = ()


def model_card(reported: ReportedRun, of: CardOf, *, licence: str = "") -> str:
    """Return the Markdown of the card; it names no photo and no person.

    licence  of the model, as text; "": not stated.
    """
    space = reported.config.space
    intro = f"Predicts {', '.join(map(escaped, space.names))} of a photo. Written by maskcls {maskcls.__version__}."
    parts = [
        f"# Model card: {escaped(reported.name)}",
        intro,
        model_part(reported),
        *of.parts,
        use_part(reported.noun),
        data_part(reported),
        folds_part(reported),
        scores_part(reported),
        slices_part(reported),
        limits_part(reported, of.limits),
        licence_part(licence),
        versions_part(reported, of.files),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"
