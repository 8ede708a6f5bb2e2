"""maskcls synth judge: whether samples of a rare class help, against nothing, oversampling and mixing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from maskcls import config, files
from maskcls.data.rows import manifest as tables
from maskcls.errors import BusyError
from maskcls.files import OutputFile
from maskcls.labels import Bools, Ints, LabelSpace
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.rows_by_id import rows_of
from maskcls.results.synth.verdict import Verdict, arms_verdict
from maskcls.rundir import RunDir
from maskcls.runs.choices.register import Attempt, add_attempts, is_kept, rows_key
from maskcls.runs.choices.tried import comparison_of, rows_of_run
from maskcls.runs.read_labelled import read_out_of_fold
from maskcls.runs.records.times import NETWORKS, read_times
from maskcls.schema import Config
from maskcls.schema.group_noun import group_noun
from maskcls.show.arms.verdict_text import ArmFacts, ArmsVerdict
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.arms.arm_settings import NOTHING, Arm, Fit, build_arms, check_arms, with_fraction
from maskcls.synth.arms.equal_steps import at_fraction, equal_fraction, read_sizes
from maskcls.synth.arms.frozen_arms import screen_arms
from maskcls.synth.loop.synth_rows import of_classes, rarest_class
from maskcls.training.checks import has_settings
from maskcls.training.experiment import Experiment, read_experiment

Train = Callable[[Config, RunDir], object]
PROMISE = "tables.json"  # in the folder: which tables its trainings are of


def compare_arms(
    data: Path,
    cfg: Config,
    samples: Sequence[str],
    folder: Path,
    *,
    seeds: int,
    fit: Fit,
    use: Path | None,
    force: bool,
    train: Train,
    resume: Callable[[RunDir], object],
    report: Reporter,
) -> ArmsVerdict:
    """Train all arms with equal steps, and say which table of samples may be used.

    cfg      of all arms; its seed is the first one.
    samples  tables that `synth sample` wrote, or "smote" with heads on frozen features.
    folder   of all trainings and of the verdict.
    use      where to write the configuration with the recommended samples; only if there are some.
    train, resume  the verbs it is made of: a training from the start, and the rest of one.

    Given again, the command continues where it was interrupted. Raises BusyError for a folder with other settings or
    samples, and for a finished `use` unless `force`; else what `check_arms` and the verbs raise.
    """
    check_arms(data, cfg, samples, fit)
    if use is not None:
        files.refuse_finished(use, inputs=[data, *_paths(samples)], force=force)
    base = read_experiment(cfg, data, RunDir(folder / "never-written"))
    rare = rare_classes(base)
    arms, numbers = build_arms(cfg, samples, rare), tuple(range(cfg.seed, cfg.seed + seeds))
    digests = {arm.name: files.file_sha256(arm.samples) if arm.samples else "" for arm in arms if arm.is_table}
    _refuse_other_tables(folder, digests)
    if fit == "heads":
        found = _screened(data, arms, rare, folder, digests, numbers, report)
    else:
        found = _trained(data, arms, rare, folder, digests, numbers, train, resume)
    best = found.verdict.best
    if use is not None and best is not None:
        chosen = next(arm for arm in build_arms(cfg, samples, rare) if arm.name == best.arm)
        if chosen.samples is not None:
            made = cfg.model_copy(update={"data": chosen.cfg.data})
            files.commit_outputs([OutputFile(use, config.to_yaml(made).encode())], force=force)
            found = replace(found, written=use)
    files.commit_json(folder / "verdict.json", found.to_json())
    return found


def rare_classes(experiment: Experiment) -> dict[str, tuple[str, ...]]:
    """Return synth.classes, or the class of any task that has the fewest people."""
    cfg, real = experiment.cfg, tables.real_rows(experiment.manifest)
    labels = {name: label_N[real] for name, label_N in experiment.labels.items()}
    return dict(cfg.synth.classes) or rarest_class(labels, experiment.people[real], cfg.space)


def rare_joint(space: LabelSpace, rare: Mapping[str, tuple[str, ...]]) -> Bools:
    """Return which joint classes (J,) are rare."""
    return of_classes(space.decode(np.arange(space.size, dtype=np.int64)), rare, space)


def _paths(samples: Sequence[str]) -> list[Path]:
    return [Path(one) for one in samples if Path(one).exists()]


def _refuse_other_tables(folder: Path, digests: Mapping[str, str]) -> None:
    """Note of which tables the trainings are; BusyError when the folder holds trainings with others of this name."""
    path = folder / PROMISE
    before: dict[str, str] = dict(files.read_json(path)) if path.exists() else {}
    if changed := [name for name, digest in digests.items() if before.get(name, digest) != digest]:
        fix = "choose another --run, or give the samples it began with"
        raise BusyError("the folder holds trainings with other samples", where=str(path), offenders=changed, fix=fix)
    if not digests.keys() <= before.keys():
        files.commit_json(path, before | dict(digests))


def _tables_tried(place: RunDir, rows: str, fit: Fit, digests: Mapping[str, str]) -> int:
    """Register the tables, and return how many were tried on these rows in this way."""
    new = [Attempt(rows=rows, kind="samples", what=f"{fit}/{one or name}", name=name) for name, one in digests.items()]
    return len([one for one in add_attempts(place, new).of("samples", rows) if one.what.startswith(f"{fit}/")])


def _trained(
    data: Path,
    arms: Sequence[Arm],
    rare: Mapping[str, tuple[str, ...]],
    folder: Path,
    digests: Mapping[str, str],
    seeds: Sequence[int],
    train: Train,
    resume: Callable[[RunDir], object],
) -> ArmsVerdict:
    sizes = {arm.name: read_sizes(data, arm.cfg) for arm in arms}
    wanted_F, equal, steps = sizes[NOTHING], [], {}
    for arm in arms:
        fraction = equal_fraction(wanted_F, sizes[arm.name])
        own = arm if arm.name == NOTHING else with_fraction(arm, fraction)
        equal.append(own)
        sizes_F = at_fraction(sizes[arm.name], own.cfg.sampler.epoch_fraction)
        steps[arm.name] = sum(one.steps for one in sizes_F)
    found: dict[str, list[LabelledPredictions]] = {arm.name: [] for arm in equal}
    for seed in seeds:
        for arm in equal:
            run = _run(folder, arm.name, seed)
            _train(arm.cfg.model_copy(update={"seed": seed}), run, train, resume)
            found[arm.name].append(read_out_of_fold(run))
    first, nothing = found[NOTHING][0], _run(folder, NOTHING, seeds[0])
    labels = {name: [one.pred_N[rows_of(one.ids, first.ids)] for one in several] for name, several in found.items()}
    assert first.people_N is not None
    tried = _tables_tried(nothing, rows_of_run(nothing), "training", digests)
    truth_N = first.space.encode(first.truth)
    verdict = _verdict(truth_N, labels, digests, first.people_N, rare_joint(first.space, rare), tried)
    compared = [
        comparison_of(_run(folder, gap.other, seeds[0]), _run(folder, table.arm, seeds[0]), gap.difference.p)
        for table in verdict.tables
        for gap in table.gaps
    ]
    kept = is_kept(nothing, add_attempts(nothing, compared))
    facts = tuple(
        ArmFacts(arm.name, arm.changed, steps[arm.name], _minutes(folder, arm, seeds), str(arm.samples or ""))
        for arm in equal
    )
    rare_N = of_classes(first.truth, rare, first.space)
    counts = len(first.ids), len(np.unique(first.people_N)), len(np.unique(first.people_N[rare_N]))
    return ArmsVerdict(verdict, facts, first.space, rare, "training", tuple(seeds), *counts, kept=kept, noun=first.noun)


def _screened(
    data: Path,
    arms: Sequence[Arm],
    rare: Mapping[str, tuple[str, ...]],
    folder: Path,
    digests: Mapping[str, str],
    seeds: Sequence[int],
    report: Reporter,
) -> ArmsVerdict:
    screened = screen_arms(data, arms, rare, seeds=seeds, report=report)
    experiment, space = screened.experiment, arms[0].cfg.space
    scored = np.flatnonzero(experiment.fold >= 0)
    truth_N, people_N = space.encode(experiment.labels)[scored], experiment.people[scored]
    place = RunDir(folder / "heads")
    rows = rows_key(files.sha256(tables.to_csv(experiment.manifest)))
    tried = _tables_tried(place, rows, "heads", digests)
    labels = {name: [one[scored] for one in several] for name, several in screened.labels.items()}
    verdict = _verdict(truth_N, labels, digests, people_N, rare_joint(space, rare), tried)
    compared = [
        Attempt(
            rows=rows,
            kind="comparison",
            what=f"heads/{gap.other}/{digests[table.arm] or table.arm}",
            name=f"heads {gap.other} {table.arm}",
            p=gap.difference.p,
        )
        for table in verdict.tables
        for gap in table.gaps
    ]
    kept = is_kept(place, add_attempts(place, compared))
    facts = tuple(
        ArmFacts(arm.name, arm.changed, None, screened.seconds[arm.name] / 60, str(arm.samples or "")) for arm in arms
    )
    rare_N = of_classes(experiment.labels, rare, space)[scored]
    counts = len(scored), len(np.unique(people_N)), len(np.unique(people_N[rare_N]))
    noun = group_noun(experiment.cfg)
    return ArmsVerdict(verdict, facts, space, rare, "heads", tuple(seeds), *counts, kept=kept, noun=noun)


def _verdict(
    truth_N: Ints,
    labels: Mapping[str, Sequence[Ints]],
    digests: Mapping[str, str],
    people_N: np.ndarray[tuple[int], np.dtype[np.generic]],
    rare_J: Bools,
    tried: int,
) -> Verdict:
    return arms_verdict(truth_N, labels, list(digests), people_N, rare_J, tried=tried)


def _run(folder: Path, arm: str, seed: int) -> RunDir:
    return RunDir(folder / f"{arm}-seed{seed}")


def _train(cfg: Config, run: RunDir, train: Train, resume: Callable[[RunDir], object]) -> None:
    """Train a run, or finish it; BusyError when the folder holds another one."""
    if not run.env.exists():
        train(cfg, run)
    elif not has_settings(run, cfg):
        fix = "choose another --run, or give the settings it began with"
        raise BusyError("the folder holds trainings with other settings", where=str(run.path), fix=fix)
    elif not run.summary.exists():
        resume(run)


def _minutes(folder: Path, arm: Arm, seeds: Sequence[int]) -> float:
    """Return the minutes that the networks of one arm took, over its seeds."""
    seconds = 0.0
    for seed in seeds:
        times = read_times(_run(folder, arm.name, seed))
        seconds += sum(one.seconds.get(NETWORKS, 0.0) for one in times.commands) if times else 0.0
    return seconds / 60
