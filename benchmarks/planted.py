"""Whether `maskcls synth judge` accepts a good generator and refuses a collapsed one, both planted.

Planted   In each fold, a share of the people of the rarest class is taken out of the training people. They are
          validated in their own fold, so all people of the class are scored.
          good: their photos are the fold's samples, as a perfect generator would make them.
          collapsed: one of these photos, repeated as often with noise of 3 grey levels, as a collapsed one would.
          Both have the weight synth.weight. All arms train on those who are left.
Compared  Each with nothing, oversampling and CutMix with rare partners, as `synth judge --fit heads` does: heads on the
          features of starting weights, out-of-fold rows, four seeds. Every repetition has other folds and takes out
          other people. Each table has a verdict of its own.
Counted   In how many repetitions the verdict is "use". Expected: good in all, collapsed in none.
Run       python benchmarks/planted.py [DATA] --config multi --out planted.jsonl model.weights=FILE
          Without DATA, faces are drawn. Given again, finished repetitions of the file are kept.
Read      The share decides how large the true gain is: the fewer people are left to train on, the more the photos of
          the others help.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from maskcls import config
from maskcls.commands.synth.judge import rare_classes, rare_joint
from maskcls.data.drawn.faces import make_faces
from maskcls.data.photos.images import read_image
from maskcls.data.rows import folds as folding
from maskcls.data.views.transforms import eval_view
from maskcls.labels import Bools, Floats, Ints
from maskcls.results.synth.verdict import TableVerdict, arms_verdict
from maskcls.rundir import RunDir
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.arms.arm_settings import MIX, NOTHING, OVERSAMPLE, build_arms
from maskcls.synth.arms.frozen_arms import mixing_arm, read_features, rows_with_features
from maskcls.synth.arms.heads_arms import (
    AddedRows,
    Adding,
    RowFeatures,
    heads_out_of_fold,
    nothing_added,
    oversampling,
)
from maskcls.synth.embedded.frozen_features import Extractor, image_features, open_extractor
from maskcls.synth.loop.synth_rows import of_classes
from maskcls.training.experiment import Experiment, read_experiment

GOOD, COLLAPSED = "good", "collapsed"
PLAIN = (NOTHING, OVERSAMPLE, MIX)
SHARE, REPETITIONS, SEEDS = 0.75, 10, (0, 1, 2, 3)
NOISE = 3.0  # grey levels of 255
DRAWN_PEOPLE = 600


def arguments_of(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="DATA | KEY=VALUE", help="the data set, and settings")
    parser.add_argument("--config", action="append", type=Path, default=[], metavar="FILE")
    parser.add_argument("--share", type=float, default=SHARE, help="share of the rare people who become samples")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="seed of the first repetition")
    parser.add_argument("--out", type=Path, default=Path("planted.jsonl"), metavar="FILE", help="a line per repetition")
    return parser.parse_intermixed_args(argv)


def held_out(people_N: Ints, rare_N: Bools, share: float, seed: Sequence[int]) -> Bools:
    """Return the photos (N,) of the rare people who are taken out: this share of them, others with another seed."""
    rare = np.unique(people_N[rare_N])
    chosen = np.random.default_rng((11, *seed)).choice(rare, max(1, round(share * len(rare))), replace=False)
    return np.isin(people_N, chosen)


def constant(feature_MD: Floats, labels: Mapping[str, Ints], weight: float) -> Adding:
    """Return an arm that adds the same rows with this weight to every fold."""
    weight_M = np.full(len(feature_MD), weight, np.float32)
    return lambda k, train_N: AddedRows(feature_MD, labels, weight_M)


def with_folds(experiment: Experiment, seed: int) -> Experiment:
    """Return the experiment with other folds of the same people."""
    frame, how = experiment.manifest, experiment.cfg.folds
    folds = folding.build(frame, experiment.cfg.space, k=how.k, holdout=how.holdout, seed=seed, stratify=how.stratify)
    return replace(experiment, folds=folds)


def without(experiment: Experiment, out_N: Bools) -> Experiment:
    """Return the experiment without these photos; all others keep their folds."""
    frame, folds = (table[~out_N].reset_index(drop=True) for table in (experiment.manifest, experiment.folds))
    return replace(experiment, manifest=frame, folds=folds)


def collapsed(experiment: Experiment, row: int, count: int, extractor: Extractor, seed: Sequence[int]) -> Floats:
    """Return the features (count, D) of one photo with noise."""
    path = Path(experiment.photo_root) / experiment.photo_paths[row]
    view_HWC = eval_view(read_image(path, at_least=extractor.spec.decode_size), extractor.spec)
    noise = np.random.default_rng((12, *seed)).normal(0, NOISE, (count, *view_HWC.shape))
    images = np.clip(np.rint(view_HWC + noise), 0, 255).astype(np.uint8)
    return image_features(extractor, images, Reporter(quiet=True))


def fold_arms(
    experiment: Experiment, feature_ND: Floats, out_N: Bools, extractor: Extractor, seed: Sequence[int]
) -> tuple[RowFeatures, dict[str, Adding]]:
    """Return the rows that are left, and the arms, of one fold without the people of these photos in training."""
    cfg, pool = experiment.cfg, np.flatnonzero(out_N)
    left = without(experiment, out_N)
    rows = rows_with_features(left, feature_ND[~out_N])
    one = int(np.random.default_rng((13, *seed)).choice(pool))
    own = {name: label_N[pool] for name, label_N in experiment.labels.items()}
    same = {name: np.repeat(label_N[one], len(pool)) for name, label_N in experiment.labels.items()}
    (mix,) = (arm for arm in build_arms(cfg, [], rare_classes(experiment)) if arm.name == MIX)
    return rows, {
        NOTHING: nothing_added,
        OVERSAMPLE: oversampling(rows, cfg.space),
        MIX: mixing_arm(left, mix.cfg, extractor, Reporter(quiet=True)),
        GOOD: constant(feature_ND[pool], own, cfg.synth.weight),
        COLLAPSED: constant(collapsed(experiment, one, len(pool), extractor, seed), same, cfg.synth.weight),
    }


def repetition(
    experiment: Experiment, feature_ND: Floats, extractor: Extractor, *, share: float, seed: int
) -> dict[str, TableVerdict]:
    """Return the verdicts on both planted generators."""
    space, rare = experiment.cfg.space, rare_classes(experiment)
    experiment = with_folds(experiment, seed)
    rare_N = of_classes(experiment.labels, rare, space)
    labels = {name: [np.zeros(len(rare_N), np.int64) for _ in SEEDS] for name in (*PLAIN, GOOD, COLLAPSED)}
    for k in np.unique(experiment.fold[experiment.fold >= 0]).tolist():
        valid_N = experiment.fold == k
        out_N = held_out(experiment.people, rare_N & ~valid_N, share, (seed, k))
        rows, arms = fold_arms(experiment, feature_ND, out_N, extractor, (seed, k))
        found = heads_out_of_fold(rows, space, arms, seeds=SEEDS, folds=[k])
        for name, by_seed in found.items():
            for place, label_n in enumerate(by_seed):
                labels[name][place][valid_N] = label_n[rows.fold_N == k]
    truth_N, scored_N = space.encode(experiment.labels), experiment.fold >= 0
    verdicts = {}
    for name in (GOOD, COLLAPSED):
        compared = {arm: [one[scored_N] for one in labels[arm]] for arm in (*PLAIN, name)}
        people_N = experiment.people[scored_N]
        verdict = arms_verdict(truth_N[scored_N], compared, [name], people_N, rare_joint(space, rare))
        (verdicts[name],) = verdict.tables
    return verdicts


def line_of(seed: int, share: float, found: Mapping[str, TableVerdict], seconds: float) -> dict[str, Any]:
    """Return the line of one repetition as plain data."""
    verdicts = {
        name: {
            "outcome": one.outcome,
            "findable": round(one.findable, 4),
            "gains": {
                gap.other: [round(x, 4) for x in (gap.difference.value, gap.difference.low, gap.difference.high)]
                for gap in one.gaps
            },
        }
        for name, one in found.items()
    }
    return {"seed": seed, "share": share, "seconds": round(seconds, 1), **verdicts}


def summary(lines: Sequence[Mapping[str, Any]]) -> str:
    """Say how often each was accepted."""
    accepted = {name: sum(line[name]["outcome"] == "use" for line in lines) for name in (GOOD, COLLAPSED)}
    return f"of {len(lines)} repetitions: good accepted in {accepted[GOOD]}, collapsed in {accepted[COLLAPSED]}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is not in the file yet, and print a line per repetition and the count; returns the exit code."""
    a = arguments_of(argv)
    data = [Path(word) for word in a.words if "=" not in word]
    cfg, _ = config.load(a.config or None, [word for word in a.words if "=" in word])
    with tempfile.TemporaryDirectory() as folder:
        root = data[0] if data else Path(folder) / "faces"
        if not data:
            make_faces(root, people=DRAWN_PEOPLE, seed=0, eval_people=1)
        experiment = read_experiment(cfg, root, RunDir(Path("never-written")))
        extractor = open_extractor(experiment, experiment.kinds[0], 0, run=None)
        feature_ND = read_features(experiment, extractor, Reporter()).feature_ND
        lines = [json.loads(line) for line in a.out.read_text().splitlines()] if a.out.exists() else []
        lines = [line for line in lines if line["share"] == a.share]
        for seed in range(a.first, a.first + a.repetitions):
            if any(line["seed"] == seed for line in lines):
                continue
            started = time.monotonic()
            found = repetition(experiment, feature_ND, extractor, share=a.share, seed=seed)
            lines.append(line_of(seed, a.share, found, time.monotonic() - started))
            with a.out.open("a") as file:
                file.write(json.dumps(lines[-1]) + "\n")
            print(json.dumps(lines[-1]), flush=True)
    print(summary(lines))
    fine = all(line[GOOD]["outcome"] == "use" and line[COLLAPSED]["outcome"] != "use" for line in lines)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
