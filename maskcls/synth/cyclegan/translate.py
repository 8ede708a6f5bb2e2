"""Samples of a trained CycleGAN: photos of training people, translated into the rare class.

N rows of photos, M samples, H and W the height and width of images.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from maskcls.engine.fit import stream_seed
from maskcls.errors import DataError
from maskcls.labels import Ints
from maskcls.synth.class_words import classes_in_words
from maskcls.synth.cyclegan.domains import Domains
from maskcls.synth.cyclegan.translators import TranslatorShape, build_translator
from maskcls.synth.gans.pixels import to_pixels, to_unit

AT_ONCE = 32  # images
PARENTS = 1  # the purpose of random numbers, a part of their key


def chosen_parents(
    wanted_M: Ints, labels: Mapping[str, Ints], person_N: Ints, domains: Domains, *, seed: int, fold: int
) -> Ints:
    """Return the row (M,) of the photo that each sample is made of: of the source, and equal in all kept labels.

    People are taken in turn, in an order that is drawn for each joint class, and each person's photos in turn. So the
    n-th sample of a class is a function of (seed, fold, n) and the rows: more samples do not change earlier ones. After
    the last photo of the last person, photos are used again; a photo used again gives the same image.

    wanted_M  (M,) joint class of each sample, of the target.
    labels    {task: (N,)} of the fold's training rows; person_N (N,) the person on each.

    Raises DataError for a joint class that is not of the target, or whose kept labels no photo of the source has.
    """
    source_N, _ = domains.rows(labels)
    key_N = domains.kept_key(labels)
    parent_M = np.empty(len(wanted_M), dtype=np.int64)
    for joint in np.unique(wanted_M):
        one = domains.space.decode(np.array([joint]))
        if not domains.rows(one)[1].all():
            raise _not_made(
                domains, int(joint), "a class that photos are not translated into", classes_in_words(domains.target)
            )
        row_R = np.flatnonzero(source_N & (key_N == domains.kept_key(one)[0]))
        if not len(row_R):
            raise _not_made(
                domains, int(joint), "no photo to translate", f"a photo of {classes_in_words(domains.source)}"
            )
        turn_R = _in_turn(row_R, person_N, np.random.default_rng(stream_seed(seed, fold, PARENTS, int(joint))))
        sample_R = np.flatnonzero(wanted_M == joint)
        parent_M[sample_R] = turn_R[np.arange(len(sample_R)) % len(turn_R)]
    return parent_M


def translator_of(tensors: Mapping[str, Tensor], facts: Mapping[str, Any], *, direction: str = "there") -> nn.Module:
    """Rebuild a generator, in eval mode, from what `Player.generator` of cyclegan returns.

    direction  "there" translates from the source to the target, "back" the other way.
    """
    network = build_translator(TranslatorShape.from_json(facts["shape"]), torch.Generator())
    prefix = f"{direction}."
    network.load_state_dict({key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)})
    return network.eval().requires_grad_(False)


@torch.no_grad()
def translate(
    tensors: Mapping[str, Tensor], facts: Mapping[str, Any], images_MHWC: NDArray[np.uint8], device: torch.device
) -> NDArray[np.uint8]:
    """Translate photos (M, H, W, 3) of the source into images (M, H, W, 3) of the target, both uint8 RGB.

    tensors, facts  of the generator, see `translator_of`; H and W are those it was trained on.
    """
    network = translator_of(tensors, facts).to(device)
    made = [np.empty((0, *images_MHWC.shape[1:]), dtype=np.uint8)]
    for first in range(0, len(images_MHWC), AT_ONCE):
        part = images_MHWC[first : first + AT_ONCE]
        # Always as many: how sums are rounded may depend on the number of images that are computed together.
        full = np.concatenate([part, np.zeros((AT_ONCE - len(part), *part.shape[1:]), dtype=np.uint8)])
        made.append(to_pixels(network(to_unit(torch.from_numpy(full).to(device))))[: len(part)])
    return np.concatenate(made)


def _in_turn(row_R: Ints, person_N: Ints, rng: np.random.Generator) -> Ints:
    """Return the rows in an order in which people take turns: the first photo of each, then the second one of each."""
    row_R = rng.permutation(row_R)
    person_R = person_N[row_R]
    order_P = rng.permutation(np.unique(person_R)).tolist()
    place = {person: index for index, person in enumerate(order_P)}
    seen = dict.fromkeys(order_P, 0)
    keys = list[tuple[int, int]]()
    for person in person_R.tolist():
        keys.append((seen[person], place[person]))
        seen[person] += 1
    return row_R[sorted(range(len(row_R)), key=keys.__getitem__)]


def _not_made(domains: Domains, joint: int, what: str, expected: str) -> DataError:
    return DataError(
        what,
        where=f"class {domains.space.joint_names[joint]}",
        expected=expected,
        fix="ask for other classes, or train a generator with other synth.classes and synth.from_classes",
    )
