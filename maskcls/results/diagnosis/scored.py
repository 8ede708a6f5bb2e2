"""What a diagnosis holds beside its findings: scores of models, error parts, learning curves, classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from maskcls.groupnouns import PEOPLE, Noun
from maskcls.results.diagnosis.error_parts import ErrorParts
from maskcls.results.diagnosis.finding import Finding
from maskcls.results.diagnosis.learning_curve import Curve


@dataclass(frozen=True)
class ModelScores:
    """The macro-F1 of one model on held-out people: of the joint classes (NaN without labelled rows), and per task."""

    model: str
    about: str
    macro_f1: float
    tasks: Mapping[str, float]


@dataclass(frozen=True)
class Diagnosis:
    """All results for one network.

    network   its task; "" for a network of all tasks.
    findings  in the order of the checks.
    models    the network and simple models; empty where nothing was trained.
    parts     the error of the joint classes and of each task; empty likewise.
    curves    learning curves; empty likewise.
    noun      what the people are called, one and several.
    people, of_people  number of people the trainings used, and of all people to train on and validate.
    """

    network: str
    findings: tuple[Finding, ...]
    models: tuple[ModelScores, ...] = ()
    parts: tuple[ErrorParts, ...] = ()
    curves: tuple[Curve, ...] = ()
    people: int = 0
    of_people: int = 0
    noun: Noun = PEOPLE
