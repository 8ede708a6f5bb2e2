"""How does the error fall with the number of people, and what would more people give?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from maskcls.diagnosis.probe import Probe
from maskcls.diagnosis.with_training.errors import labellings, predicted_labels
from maskcls.diagnosis.with_training.study import CURVE, TrainedNetwork, part_of, train_network
from maskcls.groupnouns import PEOPLE, Noun, photos_of_more
from maskcls.labels import Floats, Ints
from maskcls.results.diagnosis.finding import Finding
from maskcls.results.diagnosis.learning_curve import Curve, Projection, Trained, learning_curve
from maskcls.results.scores.person_counts import person_counts
from maskcls.show.terminal.progress import Reporter

FEWEST_PEOPLE = 4  # of the smallest subset


def train_on_subsets(whole: TrainedNetwork, report: Reporter) -> Iterator[tuple[Probe, Floats]]:
    """Train on nested subsets of the people; yield each training's probe and its validation rows (n, J)."""
    probe = whole.probe
    people = len(np.unique(probe.rows.people[probe.rows.train]))
    for share, times in CURVE:
        if share * people < FEWEST_PEOPLE:
            continue
        for draw in range(times):
            part = part_of(probe, share, probe.cfg.seed + 1 + draw)
            count = len(np.unique(part.rows.people[part.rows.train]))
            yield part, train_network(part, f"{count} {probe.noun[1]}, subset {draw + 1}", report).last_rows
    yield probe, whole.last_rows


def curves_of(trainings: Sequence[tuple[Probe, Floats]]) -> tuple[Curve, ...]:
    """Return the learning curve of the joint classes and of each task."""
    probe = trainings[0][0]
    space, seed = probe.member.space, probe.cfg.seed
    found = []
    for name, (label_N, size) in labellings(space, {n: probe.rows.labels[n] for n in space.names}).items():
        names = space.joint_names if name not in space.names else space.task(name).classes
        points = [_point(one, prob_nJ, name, label_N, size) for one, prob_nJ in trainings]
        if all(point is not None for point in points):
            curve = learning_curve(name, names, [point for point in points if point is not None], seed=seed)
            found += [curve] if curve is not None else []
    return tuple(found)


def _point(probe: Probe, prob_nJ: Floats, name: str, label_N: Ints, classes: int) -> Trained | None:
    rows = probe.rows
    true_n, pred_n = label_N[rows.valid], predicted_labels(probe.member.space, prob_nJ)[name]
    known = true_n >= 0
    if not known.any():
        return None
    who_n = np.unique(rows.people[rows.valid][known], return_inverse=True)[1].astype(np.int64)
    hits_PC, marks_PC = person_counts(true_n[known], pred_n[known], who_n, classes)
    trained, people = label_N[rows.train], rows.people[rows.train]
    own_C = np.array([len(np.unique(people[trained == c])) for c in range(classes)])
    return Trained(len(np.unique(people)), own_C, hits_PC, marks_PC)


def check_curve(curves: Sequence[Curve], network: str, noun: Noun = PEOPLE) -> Finding:
    """Say what twice the people, or twice the people of one class, would give."""
    many = noun[1]
    if not curves:
        return Finding("learning curve", "unknown", f"too few {many} for three sizes of subsets", network=network)
    main, twice = curves[0], curves[0].twice
    sizes = ", ".join(f"{n} {many} {1 - e:.3f}" for n, e in zip(main.people, main.error, strict=True))
    found = f"{main.name} macro-F1 with {sizes}; {twice.people} {many}: {_gain(twice)}"
    values = {"gain": twice.gain, "low": twice.low, "high": twice.high}
    told = [(curve.name, one) for curve in curves[1:] or curves for one in curve.classes if one.told]
    more = [photos_of_more(noun)]
    if told:
        task, best = max(told, key=lambda pair: pair[1].gain)
        found += f"; twice the {many} of {task}={best.what}: {_gain(best)} in {task}"
        more = [f"{photos_of_more(noun)} of {task}={best.what}", *more]
    else:
        found += f"; which class needs more {many} cannot be told"
    if not twice.told:
        text = f"{found}; whether more {many} help cannot be told"
        return Finding("learning curve", "unknown", text, network=network, values=values)
    return Finding("learning curve", "pass", found, "", tuple(more), network, values)


def _gain(one: Projection) -> str:
    return f"{one.gain:+.3f} ({one.low:+.3f} to {one.high:+.3f})"
