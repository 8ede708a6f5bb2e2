"""All variants by name: what they compute on a fold, and how their rows are scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from head_variants import ages, coteaching, label_faults, people, several, unlabelled
from head_variants.split import Split
from maskcls.nn.fitting.fitted_head import Wide
from maskcls.results.decisions.shifted_labels import TRUST

Mode = Literal["alone", "grouped"]
Make = Callable[[Split], Mapping[str, Wide]]
BASE = "base"
BOTH: tuple[Mode, ...] = ("alone", "grouped")


@dataclass(frozen=True)
class Variant:
    """A way to predict the validation photos of a fold.

    make     returns log probabilities (m, C) of the validation photos, by task.
    family   heading in the table; what: one line for it.
    modes    alone: every photo by itself. grouped: with the other photos of its group, by similarity.
    itself   `make` returns what is predicted for the group; False: rows are averaged as maskcls averages them.
    trust    correct the odds for class shares that EM finds in the fold, with this trust; None: do not.
    own      make the rule `expected` from the rows to be labelled.
    """

    name: str
    family: str
    what: str
    make: Make
    modes: tuple[Mode, ...] = BOTH
    itself: bool = False
    trust: float | None = None
    own: bool = False


def _grouped(name: str, make: Make, what: str) -> Variant:
    return Variant(name, "More from a person", what, make, ("grouped",), itself=True)


def _person() -> list[Variant]:
    family = "More from a person"
    return [
        _grouped("geometric", people.geometric, "log probabilities averaged over the group, equal weights"),
        _grouped("weighted_outputs", people.weighted_outputs, "their sum, a weight per mask state"),
        _grouped("attention_outputs", people.attention_over_outputs, "softmax attention over log probabilities"),
        _grouped("person_means", people.person_means, "heads of a person's mean features"),
        _grouped("weighted_means", people.weighted_means, "the same, an uncovered face weighs 1, 2, 4 or 8 times"),
        _grouped("attention_features", people.attention_over_features, "softmax attention over 128 components"),
        _grouped("state_means", people.state_means, "a head per mask state of the mean features of that state"),
        _grouped("state_means_and_all", people.state_means_and_all, "the same and the head of the whole mean"),
        _grouped("photos_and_means", people.photos_and_means, "heads of photos and means, applied to the mean"),
        Variant(
            "photos_and_means_alone",
            family,
            "heads of photos and means, applied to the photo",
            people.photos_and_means_alone,
        ),
        Variant("photos_by_state", family, "gender and age heads per predicted mask state", people.photos_by_state),
    ]


def _labels() -> list[Variant]:
    family = "More from labels"
    faults = label_faults
    return [
        Variant("soft_lda", family, "lda of soft age labels, error of 0 to 8 years", ages.soft_discriminant),
        Variant("soft_ridge", family, "age by ridge regression of soft labels", ages.soft_ridge),
        Variant("finer_bands", family, "lda of bands of five years, added up", ages.finer_bands),
        Variant("age_regression", family, "age in years by ridge regression, with its residuals", ages.regression),
        Variant("with_regression", family, "the base and that, a weighted sum", ages.with_regression),
        *(
            Variant(
                f"{name}_{limit}",
                family,
                f"labels with an inner probability below {limit} {done}",
                partial(make, threshold=limit),
            )
            for name, make, done in (
                ("left_out", faults.left_out, "left out"),
                ("relabelled", faults.relabelled, "changed"),
            )
            for limit in (0.01, 0.05)
        ),
        Variant("logistic", family, "logistic heads", partial(several.with_kind, kind="logistic")),
        Variant(
            "bootstrapping", family, "with soft bootstrapping", partial(faults.robust, loss_of=faults.bootstrapping)
        ),
        Variant(
            "generalised", family, "with generalised cross-entropy", partial(faults.robust, loss_of=faults.generalised)
        ),
    ]


def _unlabelled() -> list[Variant]:
    family = "More from photos without labels"
    found = [Variant("scaled_apart", family, "validation photos standardised by themselves", unlabelled.scaled_apart)]
    for name, every, who in (("new", False, "validation"), ("every", True, "validation photos and those to predict")):
        found += [
            Variant(
                f"scaled_{name}",
                family,
                f"standardised with {who}",
                partial(unlabelled.scaled_together, every=every),
            ),
            Variant(
                f"covariance_{name}",
                family,
                f"covariance of training and {who}",
                partial(unlabelled.total_covariance, every=every),
            ),
            Variant(
                f"pseudo_{name}",
                family,
                f"one round of pseudo labels of {who}",
                partial(unlabelled.pseudo_labelled, every=every),
            ),
        ]
    found.append(
        Variant(
            "pseudo_grouped",
            family,
            "pseudo labels of validation, gender and age by group",
            partial(unlabelled.pseudo_labelled, every=False, grouped=True),
        )
    )
    for name, trust, what in (
        ("own_rule", None, "rule from the validation photos themselves"),
        ("em", 0.0, "the same after class shares by EM"),
        ("em_trusting", TRUST, f"the same, trust {TRUST}"),
    ):
        found.append(Variant(name, family, what, several.base, trust=trust, own=True))
    return found


def _several() -> list[Variant]:
    family = "Several heads, layers and sizes"
    layers = ("last", "penultimate", "earlier")
    return [
        Variant("ridge", family, "ridge regression", partial(several.with_kind, kind="ridge")),
        Variant("kinds_mean", family, "lda, ridge and logistic, geometric mean", several.kinds_mean),
        Variant("penultimate", family, "the layer before the last", partial(several.with_features, name="penultimate")),
        Variant(
            "side_by_side", family, "last and earlier layers in one head", partial(several.with_features, name="both")
        ),
        Variant(
            "layers_mean", family, "last, penultimate, earlier: mean", partial(several.features_mean, names=layers)
        ),
        Variant("larger", family, "160 x 120 pixels", partial(several.with_features, name="larger")),
        Variant(
            "sizes_mean", family, "both sizes: mean of heads", partial(several.features_mean, names=("last", "larger"))
        ),
        Variant("sizes_features", family, "both sizes: mean features", partial(several.with_features, name="sizes")),
    ]


def _together() -> list[Variant]:
    family = "Added after two folds of the others were seen"
    what = "lda, ridge, logistic, age in years: a weighted sum"
    summed = "the same summed over the group, a weight per mask state"
    return [
        Variant("wider_strengths", family, "strengths from 0.003 to 0.99", several.wider_strengths),
        Variant("stacked", family, what, several.stacked),
        Variant("linear_in_years", family, "the base and lines in predicted years: still linear", ages.linear_in_years),
        Variant("linear_stacked", family, "three kinds and those lines: still linear", several.linear_stacked),
        Variant("stacked_outputs", family, summed, several.stacked_outputs, ("grouped",), itself=True),
    ]


def _co_taught() -> list[Variant]:
    family = "Added after all of the others were seen"
    return [
        Variant(
            f"coteaching_{'classes_' * by_class}{share}",
            family,
            f"logistic, two heads keep {100 * share:g} % of the rows{' of each class' * by_class} for each other",
            partial(coteaching.co_taught, share=share, by_class=by_class),
        )
        for by_class in (False, True)
        for share in (0.95, 0.9)
    ]


def _aligned() -> list[Variant]:
    family = "Faces turned and scaled to the same place, added last"
    both = ("last", "aligned")
    return [
        Variant("aligned", family, "aligned photos", partial(several.with_features, name="aligned")),
        Variant("aligned_mean", family, "both: mean of heads", partial(several.features_mean, names=both)),
        Variant(
            "aligned_features", family, "both: mean features", partial(several.with_features, name="aligned_features")
        ),
    ]


def _other_backbones(names: Sequence[str]) -> list[Variant]:
    family = "Features of other networks, added last"
    found = []
    for name in names:
        both = ("last", name)
        found += [
            Variant(name, family, f"{name} alone", partial(several.with_features, name=name)),
            Variant(f"{name}_mean", family, "both: mean of heads", partial(several.features_mean, names=both)),
            Variant(f"{name}_weighted", family, "both: a weighted sum", partial(several.features_weighted, names=both)),
            Variant(f"{name}_joined", family, "both in one head", partial(several.with_features, name=joined(name))),
        ]
    if len(names) > 1:
        every = ("last", *names)
        found += [
            Variant("others_mean", family, "all: mean of heads", partial(several.features_mean, names=every)),
            Variant("others_weighted", family, "all: a weighted sum", partial(several.features_weighted, names=every)),
            Variant("others_joined", family, "all in one head", partial(several.with_features, name=joined(*names))),
        ]
    return found


def joined(*names: str) -> str:
    """Return the name of the features of the recipe and those of other networks, side by side."""
    return "+".join(("last", *names))


def joined_sets(others: Sequence[str]) -> list[tuple[str, ...]]:
    """Return which features of other networks are added to those of the recipe: each alone, and all of several.

    >>> joined_sets(["a", "b"])
    [('a',), ('b',), ('a', 'b')]
    """
    return [*((name,) for name in others), *([tuple(others)] if len(others) > 1 else [])]


def variants(*, aligned: bool = False, others: Sequence[str] = ()) -> list[Variant]:
    """Return the base and all variants.

    aligned  those of aligned photos too, which need a face detector.
    others   names of features of other networks.
    """
    first = Variant(BASE, "Base", "the recipe", several.base)
    found = [first, *_person(), *_labels(), *_unlabelled(), *_several(), *_together(), *_co_taught()]
    return found + (_aligned() if aligned else []) + _other_backbones(others)
