"""Is the network at least as good as simple models on held-out people?"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from maskcls.diagnosis.baselines import ABOUT, BASELINES, Baseline, features, predict_simply
from maskcls.diagnosis.probe import Probe
from maskcls.groupnouns import PEOPLE, Noun
from maskcls.labels import Ints
from maskcls.results.comparison.difference import Difference, paired_difference
from maskcls.results.diagnosis.chance import Chance
from maskcls.results.diagnosis.finding import Finding
from maskcls.results.diagnosis.scored import ModelScores
from maskcls.results.scores.metrics import score

LEVEL = 0.99  # of each of four comparisons


def simple_predictions(probe: Probe) -> dict[Baseline, dict[str, Ints]]:
    """Return the classes of every task that simple models predict for the validation rows."""
    rows = probe.rows
    both = np.append(rows.train, rows.valid)
    found, count = features(probe, both), len(rows.train)
    return {
        model: {
            task.name: predict_simply(
                model, found[model][:count], rows.labels[task.name][rows.train], found[model][count:]
            )
            for task in probe.member.space.tasks
        }
        for model in BASELINES
    }


def score_models(probe: Probe, predicted: Mapping[str, Mapping[str, Ints]]) -> tuple[ModelScores, ...]:
    """Return the macro-F1 of each model's classes on the validation rows, joint and per task."""
    space, valid = probe.member.space, probe.rows.valid
    truth = {name: probe.rows.labels[name][valid] for name in space.names}
    about = {str(model): text for model, text in ABOUT.items()} | {"network": "the network"}
    found = []
    for model, classes in predicted.items():
        scores = score(space.encode(dict(classes)), truth, space)
        tasks = {name: one.macro_f1 for name, one in scores.tasks.items()}
        found.append(ModelScores(model, about[model], scores.macro_f1, tasks))
    return tuple(found)


def better_baselines(probe: Probe, predicted: Mapping[str, Mapping[str, Ints]]) -> dict[str, Difference]:
    """Return, per simple model, the network's joint macro-F1 minus the model's, with an interval over people."""
    space, valid = probe.member.space, probe.rows.valid
    true_n = space.encode({name: probe.rows.labels[name][valid] for name in space.names})
    if not (true_n >= 0).any():
        return {}
    joint = {model: space.encode(dict(classes)) for model, classes in predicted.items()}
    people = probe.rows.people[valid]
    return {
        model: paired_difference(true_n, joint[model], joint["network"], people, space.size, level=LEVEL)
        for model in BASELINES
    }


def shows_nothing(held_out: Collection[Chance]) -> bool:
    """Tell whether no task is better than chance, where that could be seen, or all predictions are constant.

    A rare class makes one task constant early in a training; this alone is no sign of wrong labels.
    """
    told = any(one.visible for one in held_out) or all(one.constant for one in held_out)
    return bool(held_out) and told and all(one.nothing for one in held_out)


def check_baselines(
    differences: Mapping[str, Difference],
    held_out: Mapping[str, Chance],
    train_score: float,
    valid_score: float,
    network: str,
    noun: Noun = PEOPLE,
) -> Finding:
    """Compare the network with the simple models and with chance.

    held_out  the network's scores per task beside chance; train_score, valid_score: its joint macro-F1.
    """
    values = {f"over {model}": one.value for model, one in differences.items()}
    values |= {f"{task} above chance": one.above for task, one in held_out.items()}
    found = "; ".join(f"{one.value:+.3f} over {model}" for model, one in differences.items())
    if shows_nothing(held_out.values()):
        text = f"no task is better than chance on held-out {noun[1]}; macro-F1 {train_score:.3f} on training {noun[1]}"
        # A network that knows its training people and says nothing about others learned labels that show nothing.
        by_heart = train_score > 2 * valid_score + 0.1
        next = ("see the checks labels and one batch", "more train.epochs", "maskcls data check DATA")
        cause = "shuffled labels" if by_heart else "not trained"
        return Finding("baselines", "fail", text, cause, next, network, values)
    worse = {model: one for model, one in differences.items() if one.high < 0}
    if worse:
        name = min(worse, key=lambda model: worse[model].value)
        ends = f"{worse[name].low:+.3f} to {worse[name].high:+.3f}"
        text = f"{found}; {ABOUT[_known(name)]} is better, the difference {ends}"
        next = ("more train.epochs", "maskcls bench lr DATA", "pretrained weights: model.pretrained=true")
        return Finding("baselines", "fail", text, "under-trained", next, network, values)
    return Finding("baselines", "pass", found, network=network, values=values)


def _known(name: str) -> Baseline:
    return next(model for model in BASELINES if model == name)
