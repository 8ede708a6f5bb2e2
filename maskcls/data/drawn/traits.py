"""The traits of a drawn person that are the same in all photos, random given gender and age."""

from __future__ import annotations

import numpy as np

from maskcls.data.drawn.canvas import mix
from maskcls.data.drawn.look import MASK_KINDS, Garment, Look
from maskcls.data.drawn.people import Person, generator


def look_of(person: Person, seed: int) -> Look:
    """Draw the traits of a person at random, given gender and age.

    Gender and age only shift the distribution of a trait: there are men with long hair and women without lipstick, and
    some people look ten years younger than they are.
    """
    rng = generator(seed, person.split, person.index, 1)
    female = person.gender == "female"
    seeming_years = person.age_years + rng.normal(0, 3)
    skin = mix((247, 217, 193), (160, 115, 84), rng.beta(1.8, 5.0))
    recede = _unit((seeming_years - 38) / 32 + rng.normal(-0.15, 0.3)) * (0.35 if female else 1.0)
    return Look(
        skin=mix(skin, (160, 138, 118), 0.65 * _unit((seeming_years - 20) / 60)),
        hair=_hair(rng, seeming_years),
        lips=mix(mix(skin, (175, 85, 85), 0.45), (190, 20, 45), _unit(rng.normal(0.5 if female else 0.1, 0.22))),
        cloth=_cloth(rng, female, seeming_years),
        jaw=float(np.clip(rng.normal(0.73 if female else 0.83, 0.045), 0.6, 0.93)),
        face_length=float(np.clip(rng.normal(1.0 if female else 1.04, 0.04), 0.92, 1.12)),
        hair_length=_hair_length(rng, female, seeming_years),
        hair_volume=float(rng.uniform(0.08, 0.24)) * (1 - 0.5 * _unit((seeming_years - 35) / 45)),
        fringe=_unit(rng.normal(0.45 if female else 0.3, 0.35) - 0.4 * recede),
        parting=float(rng.choice([-1, 1]) * rng.uniform(0, 1)),
        recede=recede,
        grey=_grey(rng, female, seeming_years),
        brow=float(np.clip(rng.normal(0.06 if female else 0.095, 0.018), 0.03, 0.15)),
        eye_size=float(np.clip(rng.normal(0.225 if female else 0.205, 0.018), 0.16, 0.28)),
        eye_gap=float(rng.normal(0.43, 0.02)),
        nose_width=float(np.clip(rng.normal(0.19 if female else 0.22, 0.025), 0.13, 0.3)),
        lip_height=float(np.clip(rng.normal(0.1 if female else 0.08, 0.02), 0.04, 0.16)),
        stubble=0.0 if female else _unit(rng.normal(0.3, 0.35)),
        makeup=_unit(rng.normal(0.45 if female else -0.25, 0.25)),
        wrinkles=_unit((seeming_years - 27) / 42 + rng.normal(0, 0.07)),
        sag=_unit((seeming_years - 32) / 38 + rng.normal(0, 0.08)),
        spots=_unit((seeming_years - 38) / 40 + rng.normal(0, 0.1)),
        neck=float(rng.normal(0.5 if female else 0.6, 0.04)),
        shoulders=float(rng.normal(1.45 if female else 1.7, 0.12)),
        glasses=bool(rng.random() < 0.18 + 0.3 * _unit((seeming_years - 35) / 35)),
        earrings=bool(rng.random() < (0.35 if female else 0.04)),
        garment=_garment(rng, seeming_years),
        mask_order=tuple(MASK_KINDS[i] for i in rng.permutation(len(MASK_KINDS))),
        scene=int(rng.integers(2**31)),
    )  # fmt: skip


def _unit(value: float) -> float:
    return float(np.clip(value, 0.0, 1.0))


def _hair(rng: np.random.Generator, years: float) -> tuple[float, float, float]:
    natural = mix((24, 20, 20), (88, 56, 38), rng.beta(1.2, 2.5))
    dyed = (150, 95, 55), (176, 128, 78), (120, 45, 40)
    bleached = rng.random() < 0.3 - 0.2 * _unit((years - 20) / 40)
    return mix(natural, dyed[rng.integers(3)], 0.7) if bleached else natural


def _hair_length(rng: np.random.Generator, female: bool, years: float) -> float:
    """Return the hair length in [0, 1]; some women, more often older ones, have short hair; some men have long hair."""
    other = rng.random() < (0.08 + 0.25 * _unit((years - 40) / 30) if female else 0.08)
    return _unit(rng.normal(0.62, 0.22) if female != other else rng.normal(0.08, 0.08))


def _grey(rng: np.random.Generator, female: bool, years: float) -> float:
    dyes = rng.random() < (0.22 if female else 0.1)
    grey = 1 / (1 + np.exp(-(years + rng.normal(0, 3) - 56.5) / 3.5))
    return float(grey) * (0.2 if dyes else 1.0)


def _cloth(rng: np.random.Generator, female: bool, years: float) -> tuple[float, float, float]:
    """Return a random colour of the clothes: on average darker for men and less saturated for older people."""
    light = np.clip(rng.normal(150 if female else 105, 55), 25, 235)
    tint = rng.normal(0, 38 * (1 - 0.45 * _unit((years - 25) / 45)), 3)
    red, green, blue = np.clip(light + tint, 10, 245).tolist()
    return red, green, blue


def _garment(rng: np.random.Generator, years: float) -> Garment:
    hood = 0.42 - 0.36 * _unit((years - 20) / 35)
    draw = rng.random()
    return "hood" if draw < hood else "shirt" if draw < hood + 0.25 + 0.3 * _unit((years - 25) / 40) else "tee"
