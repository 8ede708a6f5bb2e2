"""The result of a check: pass or fail, what was found, and what to try next; and which cause explains all failures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from maskcls.groupnouns import Noun, rows_or

Verdict = Literal["pass", "fail", "unknown"]
# In the order of the training path: a fault early on it also makes later checks fail, not the other way round.
CheckName = Literal[
    "inputs",
    "normalisation",
    "split",
    "first loss",
    "evaluation",
    "layers",
    "gradient",
    "one batch",
    "labels",
    "shuffled labels",
    "baselines",
    "rare classes",
    "errors",
    "learning curve",
]


@dataclass(frozen=True)
class Purpose:
    """What a check is for.

    meaning  what it means that it passes.
    causes   usual causes where it fails, the most frequent first.
    trains   whether it trains networks, beyond a few steps on one batch.
    steps    whether it is about the steps of a training, which heads that are fitted do not have.
    """

    meaning: str
    causes: tuple[str, ...]
    trains: bool = False
    steps: bool = False

    @property
    def needs_steps(self) -> bool:
        """Whether it says nothing about heads that are fitted."""
        return self.trains or self.steps


CHECKS: Mapping[CheckName, Purpose] = {  # {one}, {many}: what the groups are called, such as person, people
    "inputs": Purpose(
        "the images that the network gets differ from each other",
        ("blank or damaged photos", "a path column that names one file", "a crop outside the face"),
    ),
    "normalisation": Purpose(
        "pixel values have the mean and spread that the network's weights expect",
        ("transforms.mean and transforms.std set by hand", "weights made with another normalisation"),
    ),
    "split": Purpose(
        "no {one} and no photo is both trained on and held out",
        ("copies of photos under other names", "one {one} under two names", "a group column that is not the {one}"),
    ),
    "first loss": Purpose(
        "before the first step, the loss is log(classes): the network prefers no class",
        ("a loss with the wrong sign or scale", "heads that do not begin at zero", "labels outside the classes"),
        steps=True,
    ),
    "evaluation": Purpose(
        "the same photo gets the same probabilities every time it is predicted",
        ("dropout that is active in prediction", "random views in prediction"),
        steps=True,
    ),
    "layers": Purpose(
        "the weights of the backbone get gradients",
        ("optim.freeze_layers too high", "optim.freeze_epochs near train.epochs", "requires_grad off in the backbone"),
        steps=True,
    ),
    "gradient": Purpose(
        "the loss of a photo depends on this photo, and on no other photo of the batch",
        ("an operation over the batch in place of the features", "rows in another order than their labels"),
        steps=True,
    ),
    "one batch": Purpose(
        "the network can learn a few photos by heart, with the configured learning rate",
        ("a learning rate that is too high or too low", "a loss with the wrong sign", "images that show nothing"),
        steps=True,
    ),
    "labels": Purpose(
        "simple models predict at least one task of held-out {many} better than chance",
        ("labels that belong to other photos", "a task that cannot be seen on the photos"),
    ),
    "shuffled labels": Purpose(
        "a network trained on shuffled labels scores as chance on held-out {many}",
        ("{many} on both sides of the split", "labels that can be read off the photo itself"),
        trains=True,
    ),
    "baselines": Purpose(
        "the network is at least as good as simple models on held-out {many}",
        ("too few epochs", "a learning rate that does not fit", "too strong augmentation", "labels of other photos"),
        trains=True,
    ),
    "rare classes": Purpose(
        "every class with enough photos is found at least once",
        (
            "a class that is much rarer than the others",
            "a loss or fit in which each photo counts the same",
        ),
        trains=True,
    ),
    "errors": Purpose(
        "the error is divided into bias, variance, over-fitted validation and shift",
        ("see the largest part",),
        trains=True,
    ),
    "learning curve": Purpose(
        "the error is measured on nested subsets of the {many}",
        ("see what more {many} would give",),
        trains=True,
    ),
}


def purpose(check: CheckName, noun: Noun) -> Purpose:
    """Return what a check is for. noun: what the groups of the data set are called, one and several.

    >>> purpose("split", ("patient", "patients")).meaning
    'no patient and no photo is both trained on and held out'
    """
    about, (one, many) = CHECKS[check], rows_or(noun)
    causes = tuple(cause.format(one=one, many=many) for cause in about.causes)
    return replace(about, meaning=about.meaning.format(one=one, many=many), causes=causes)


@dataclass(frozen=True)
class Finding:
    """The result of one check of one network.

    network  the task of a network that predicts one task; "" for a network of all tasks.
    found    what was found, with numbers.
    cause    the most probable cause of a failure; "" where the check passes or nothing points to one.
    next     what to try, the most promising first.
    values   the numbers behind `found`, by name.
    """

    check: CheckName
    verdict: Verdict
    found: str
    cause: str = ""
    next: tuple[str, ...] = ()
    network: str = ""
    values: Mapping[str, float] = field(default_factory=dict)


def first_cause(findings: Iterable[Finding]) -> Finding | None:
    """Return the failure that is earliest on the training path, which explains the later ones; None if all pass."""
    order = list(CHECKS)
    failed = [one for one in findings if one.verdict == "fail"]
    return min(failed, key=lambda one: order.index(one.check), default=None)
