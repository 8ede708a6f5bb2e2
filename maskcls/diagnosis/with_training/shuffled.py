"""Does a network that is trained on shuffled labels score as chance on held-out people?

Where it scores better, something connects both sides of the split that is no property of the labels: the same people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from maskcls.diagnosis.probe import Probe
from maskcls.groupnouns import PEOPLE, Noun
from maskcls.labels import Floats, Ints
from maskcls.results.diagnosis.chance import Chance, against_chance, permuted_units
from maskcls.results.diagnosis.finding import Finding


def with_shuffled_labels(probe: Probe, seed: int) -> Probe:
    """Return the probe with labels exchanged between people; those that vary within a person, between photos.

    A person keeps one label on both sides of the split, so a network that recognises people is found.
    """
    rows, rng = probe.rows, np.random.default_rng(seed)
    used = np.sort(np.append(rows.train, rows.valid))
    labels, values = dict(rows.labels), dict(rows.values)
    for task in probe.member.space.tasks:
        known = used[rows.labels[task.name][used] >= 0]
        if not len(known):
            continue
        source = known[exchanged(permuted_units(rows.labels[task.name][known], rows.people[known]), rng)]
        labels[task.name] = _with(labels[task.name], known, source)
        if task.name in values:
            values[task.name] = _with(values[task.name], known, source)
    return replace(probe, rows=replace(rows, labels=labels, values=values, soft=None))


def exchanged(unit_n: Ints, rng: np.random.Generator) -> Ints:
    """Return for each row the row whose label it gets: units are exchanged, all rows of a unit get the same label.

    >>> found = exchanged(np.array([0, 0, 1, 1]), np.random.default_rng(0))
    >>> len(set(found[:2])), len(set(found[2:]))
    (1, 1)
    """
    units, first = np.unique(unit_n, return_index=True)
    return first[rng.permutation(len(units))][np.searchsorted(units, unit_n)]


def _with(label_N: Ints, rows: Ints, source: Ints) -> Ints:
    changed = label_N.copy()
    changed[rows] = label_N[source]
    return changed


def scores_of(probe: Probe, prob_nJ: Floats) -> dict[str, Chance]:
    """Return each task's score of these probabilities for the validation rows, beside chance."""
    rows, space = probe.rows, probe.member.space
    predicted = space.decode(prob_nJ.argmax(axis=1).astype(np.int64))
    found = {}
    for task in space.tasks:
        label_n = rows.labels[task.name][rows.valid]
        if (label_n >= 0).any():
            people = rows.people[rows.valid]
            found[task.name] = against_chance(
                label_n, predicted[task.name], people, len(task.classes), seed=probe.cfg.seed
            )
    return found


def check_shuffled(scores: Mapping[str, Chance], network: str, noun: Noun = PEOPLE) -> Finding:
    """Check that no task is better than chance."""
    values = {task: one.above for task, one in scores.items()}
    found = "; ".join(f"{task} {one.score:.3f} (chance at most {one.high:.3f})" for task, one in scores.items())
    if any(one.better for one in scores.values()):
        next = ("see the check split", f"is the {noun[0]} visible on the photo, such as by a text or a frame?")
        return Finding("shuffled labels", "fail", found, "leaking split", next, network, values)
    return Finding("shuffled labels", "pass", found, network=network, values=values)
