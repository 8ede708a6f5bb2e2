"""The generators of an experiment, one fold after the other, and last the one of all rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from maskcls.engine.device import Accelerator
from maskcls.errors import DataError
from maskcls.groupnouns import Noun
from maskcls.labels import Ints
from maskcls.results.added.set_names import set_name
from maskcls.results.synth.training_watch import image_kind, watch_findings
from maskcls.rundir import REFIT, SynthDir
from maskcls.runs.integrity.epoch_log import read_log
from maskcls.show.synth.synth_training import TrainedGenerator
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.class_words import classes_in_words
from maskcls.synth.facts_file import SynthSet
from maskcls.synth.loop.kinds import build_player
from maskcls.synth.loop.parts import check_part, read_generator_done
from maskcls.synth.loop.synth_rows import generator_rows, of_classes, rarest_class, synth_rows
from maskcls.synth.loop.train_generator import GeneratorEnd, LoopPlan, is_past, train_generator
from maskcls.training.experiment import Experiment

FEW_SOURCE = "arXiv:2603.16134"  # generators did harm below 20 to 50 images per class


def generator_title(k: int) -> str:
    """Name the generator of fold k, or of REFIT, for people."""
    return "generator of all rows" if k == REFIT else f"generator of fold {k}"


def rare_set(experiment: Experiment, k: int) -> SynthSet:
    """Return what the generator of fold k, or of REFIT, makes examples of, and how many people and rows have it."""
    row_N, space = generator_rows(experiment, k), experiment.cfg.space
    labels: Mapping[str, Ints] = {name: label_N[row_N] for name, label_N in experiment.labels.items()}
    person_N = experiment.people[row_N]
    classes = experiment.cfg.synth.classes or rarest_class(labels, person_N, space)
    target_N = of_classes(labels, classes, space)
    return SynthSet(classes=dict(classes), people=len(set(person_N[target_N].tolist())), rows=int(target_N.sum()))


def refuse_few(sets: Mapping[int, SynthSet], least: int, noun: Noun) -> None:
    """Raise DataError when a fold has fewer people of its rare classes than `synth.least_groups`."""
    few = [
        f"{generator_title(k)}: {one.people} {noun[0 if one.people == 1 else 1]} of {classes_in_words(one.classes)}"
        for k, one in sets.items()
        if one.people < least
    ]
    if few:
        raise DataError(
            f"too few {noun[1]} for a generator, which then does harm ({FEW_SOURCE})",
            where="synth.least_groups",
            expected=f"at least {least} {noun[1]} in the training rows of every fold",
            offenders=few,
            fix="use synth.kind=oversample, or a more frequent class in synth.classes; --force trains all the same",
        )


def train_generators(
    experiment: Experiment,
    folder: SynthDir,
    sets: Mapping[int, SynthSet],
    accelerator: Accelerator,
    report: Reporter,
    *,
    ends_s: float | None,
) -> list[TrainedGenerator]:
    """Train, or finish, the generators of these folds, until a time of `time.monotonic`; None: to the end.

    Those that are finished are left as they are; WeightsError when their files were changed.
    """
    return list(_each(experiment, folder, sets, accelerator, report, ends_s))


def _each(
    experiment: Experiment,
    folder: SynthDir,
    sets: Mapping[int, SynthSet],
    accelerator: Accelerator,
    report: Reporter,
    ends_s: float | None,
) -> Iterator[TrainedGenerator]:
    cfg, begun = experiment.cfg, False
    for k, one in sets.items():
        place, steps = folder.fold(k), cfg.synth.steps
        if (done := read_generator_done(place)) is not None:
            check_part(place.generator, done.generator)
            end = GeneratorEnd(steps, steps, 0, 0.0, tuple(read_log(place)))
        elif begun and is_past(ends_s):
            end = GeneratorEnd(0, steps, 0, 0.0, ())
        else:
            begun = True
            with report.busy(f"reading photos of the {generator_title(k)}"):
                player = build_player(cfg, synth_rows(experiment, k), k, accelerator.device)
            plan = LoopPlan(generator_title(k), steps, cfg.synth.sheet_steps, cfg.train.save_minutes, ends_s)
            end = train_generator(player, place, plan, report)
            del player
            accelerator.free_memory()
        yield TrainedGenerator(
            set_name(k),
            dict(one.classes),
            one.people,
            one.rows,
            end.step,
            end.steps,
            end.steps_now,
            end.seconds,
            tuple(watch_findings(end.lines, image_kind(cfg.synth.kind))),
            dict(end.lines[-1]) if end.lines else {},
        )
