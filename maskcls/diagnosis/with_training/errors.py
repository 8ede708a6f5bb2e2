"""Which part of the error is the largest, and what reduces it?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from maskcls.diagnosis.probe import Probe
from maskcls.diagnosis.with_training.advice import what_reduces
from maskcls.diagnosis.with_training.study import TrainedNetwork
from maskcls.groupnouns import PEOPLE, Noun
from maskcls.labels import Floats, Ints, LabelSpace
from maskcls.results.diagnosis.error_parts import (
    ErrorPart,
    ErrorParts,
    chosen_on_validation,
    error_parts,
    influence_of,
)
from maskcls.results.diagnosis.finding import Finding
from maskcls.results.scores.influence import Influence
from maskcls.schema import Config

NAMED = "joint"


def labellings(space: LabelSpace, labels: Mapping[str, Ints]) -> dict[str, tuple[Ints, int]]:
    """Return the joint labels and those of each task (N,), each with the number of classes."""
    found = {NAMED: (space.encode(labels), space.size)} if len(space.tasks) > 1 else {}
    return found | {task.name: (labels[task.name], len(task.classes)) for task in space.tasks}


def predicted_labels(space: LabelSpace, prob_nJ: Floats) -> dict[str, Ints]:
    """Return the most probable joint class (n,), and its part of every task."""
    joint_n = prob_nJ.argmax(axis=1).astype("int64")
    return ({NAMED: joint_n} if len(space.tasks) > 1 else {}) | space.decode(joint_n)


def scored(probe: Probe, rows: Ints, prob_rJ: Floats) -> dict[str, Influence | None]:
    """Return the macro-F1 of each labelling on these rows, and how people move it."""
    space = probe.member.space
    truth = labellings(
        space, {name: label_N[rows] for name, label_N in probe.rows.labels.items() if name in space.names}
    )
    predicted = predicted_labels(space, prob_rJ)
    people = probe.rows.people[rows]
    return {name: influence_of(true, predicted[name], people, size) for name, (true, size) in truth.items()}


def parts_of_training(trained: TrainedNetwork, train_rows: Ints) -> tuple[ErrorParts, ...]:
    """Return the error parts of one network; train_rows: training rows that are predicted for the bias."""
    probe, space = trained.probe, trained.probe.member.space
    valid = probe.rows.valid
    on_train, on_valid = scored(probe, train_rows, trained.on_rows(train_rows)), scored(probe, valid, trained.last_rows)
    truth = labellings(space, {name: probe.rows.labels[name][valid] for name in space.names})
    epochs = [predicted_labels(space, prob_nJ) for prob_nJ in trained.valid_EnJ]
    people = probe.rows.people[valid]
    found = []
    for name, (true_n, size) in truth.items():
        train, held = on_train[name], on_valid[name]
        if train is None or held is None:
            continue
        optimism = chosen_on_validation(
            true_n, [one[name] for one in epochs], people, size, seed=probe.cfg.seed, noun=probe.noun
        )
        note = f"sealed {probe.noun[1]} are not looked at here: maskcls unseal RUN, then maskcls debug RUN"
        found.append(error_parts(name, train, held, optimism=optimism, sealed_note=note))
    return tuple(found)


def check_errors(parts: Sequence[ErrorParts], cfg: Config, network: str, noun: Noun = PEOPLE) -> Finding:
    """Name the largest part of the error of the joint classes, or of the only task; cfg: of the training."""
    if not parts:
        return Finding("errors", "unknown", "no labelled row", network=network)
    main = parts[0]
    values: dict[str, float] = {part.name: part.value for part in main.parts}
    found = f"{main.name}: " + ", ".join(_written(part) for part in main.parts)
    largest = main.largest
    shift = next((part for part in main.parts if part.name == "shift"), None)
    if shift is not None and shift.known and shift.low > 0:
        return Finding("errors", "fail", found, "shift", what_reduces("shift", cfg, noun), network, values)
    advice = what_reduces(largest.name, cfg, noun) if largest is not None else ()
    return Finding("errors", "pass", found, "", advice, network, values)


def _written(part: ErrorPart) -> str:
    if not part.known:
        return f"{part.name} unknown"
    ends = "" if math.isnan(part.low) else f" ({part.low:.2f} to {part.high:.2f})"
    return f"{part.name} {part.value:.3f}{ends}"
