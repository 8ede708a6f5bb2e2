"""Prediction: test-time augmentation, which networks predict, and how photos are combined."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

from maskcls.schema.section import Count, Section
from maskcls.viewnames import parse_views


def _read_views(text: str) -> str:
    parse_views(text)
    return text


Adapt = Literal["none", "coral", "adabn"]
Views = Annotated[str, AfterValidator(_read_views)]


class PredictConfig(Section):
    """Prediction, in the same way for validation, out-of-fold and new photos."""

    views: Views = "hflip"
    """Test-time augmentation: none, hflip, zoom, hflip_zoom, hflip_zooms or shifts, or single views joined by +, such
    as none+flip+up. Single views: none, flip, zoomed (the central 90 % of each side), zoomed_80, zoomed_70,
    flip_zoomed, flip_zoomed_80, flip_zoomed_70, up, down, left, right. hflip_zooms: the first eight of them. The
    probabilities of all views are averaged; with geometric: before the views, such as geometric:hflip, by the
    normalised geometric mean. Then model.train=heads fits heads on features that are averaged over the views."""
    networks: Literal["folds", "continued", "refit", "all"] = "folds"
    """Which networks predict new photos. folds: those of the folds. continued: those trained further by
    train.continue_epochs. refit: the one of train.refit. all: those of the folds and the refit one."""
    groups: Literal["none", "look"] = "none"
    """Whether photos are averaged in groups. look: photos that look like one person's are averaged for the tasks whose
    label never varies within a person, in out-of-fold predictions too. This happens only with a proven gain among as
    many new photos as train photos, and is checked again for the photos to predict."""
    adapt: Adapt = "none"
    """How networks are adapted to the photos they predict, without labels; in predictions of a finished run alone.
    coral: pooled features get the mean and the covariance of those of the fold's validation photos, whose people the
    network has not seen (Sun et al. 2016, arXiv:1511.05547); with predict.networks=folds alone. adabn: batch norms get
    the statistics of these photos (Li et al. 2016, arXiv:1603.04779). It helps with another camera or light, and harms
    with other class shares; maskcls tta RUN --adapt shows which."""
    batch_size: Count = 128
    """Number of images per forward pass. Each view of a photo counts. The order of sums depends on it, and so do the
    last bits of the probabilities."""
