"""Additions to heads on a frozen backbone: which of them raise the score of the recipe `faces_frozen`?

Compared  Variants of the heads on the same features: more from a person's photos, from labels, from photos without
          labels, from several layers, kinds and photo sizes. Each is a function of a fold's training photos, and of
          validation photos without labels (head_variants/); `table.py` names them all.
Counted   Out-of-fold macro-F1 of every photo alone, and with the photos that look like the same person; differences to
          the recipe on the same rows, with 95 % intervals over people, plain and corrected for their number.
How       Two runs of the recipe give folds, groups and features (two photo sizes); the features of earlier layers and
          of the photos to predict are computed once. OUT keeps them, and the rows of every variant and fold: given
          again, what is there is not computed again. One thread. RUN: heads on another backbone, of the same photos.
Run       python benchmarks/feature_heads.py DATA --out OUT --weights FILE [--only NAME…] [--divisions 0 1]
                                                                   [--detector FILE] [--others RUN RUN]
          python benchmarks/feature_heads.py DATA --out OUT --weights FILE --write benchmarks/feature_heads.md
Read      A bold interval leaves out 0. Among many, some plain ones do so by chance; a bold corrected one is a finding.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import torch
from head_variants.features import aligned_features, other_features, prepared
from head_variants.report import report
from head_variants.scoring import RULES, Compared, Rows, compare, rows_of
from head_variants.split import Photos, split
from head_variants.table import BASE, Variant, joined, joined_sets, variants

import maskcls
from maskcls.data.rows import folds as folding
from maskcls.data.rows import manifest as tables
from maskcls.labels import Floats, Ints
from maskcls.rundir import RunDir
from maskcls.training.experiment import Experiment
from maskcls.training.heads.blas_threads import one_thread_of_blas
from maskcls.training.stored_experiment import open_experiment


def photos_of(
    experiment: Experiment, file: Path, aligned_ND: Floats | None = None, others: Mapping[str, Floats] | None = None
) -> Photos:
    """Return labelled photos with all their features; others: those of other networks, (N, any width) by name."""
    with np.load(file) as stored:
        arrays = {name: stored[name].astype(np.float64) for name in ("last", "larger", "layers", "eval")}
        ends = np.cumsum(stored["widths"])
    layers_NE, start = arrays["layers"], int(ends[-2])
    features = {
        "last": arrays["last"],
        "larger": arrays["larger"],
        "penultimate": layers_NE[:, start:],
        "earlier": layers_NE[:, :start],
        "both": np.concatenate([arrays["last"], layers_NE[:, :start]], axis=1),
        "sizes": (arrays["last"] + arrays["larger"]) / 2,
    }
    if aligned_ND is not None:
        features["aligned"] = aligned_ND.astype(np.float64)
        features["aligned_features"] = (features["last"] + features["aligned"]) / 2
    features |= others or {}
    for names in joined_sets(tuple(others or {})):
        features[joined(*names)] = np.concatenate([features[name] for name in ("last", *names)], axis=1)
    frame, space = experiment.manifest, experiment.cfg.space
    person_N = np.unique(frame["person"].to_numpy(np.str_), return_inverse=True)[1].astype(np.int64)
    assert experiment.person_clustering is not None
    return Photos(
        space,
        features,
        arrays["eval"],
        tables.labels(frame, space),
        frame["age_value"].to_numpy(np.int64),
        person_N,
        experiment.person_clustering.group_N,
    )


def fold_of(experiment: Experiment, division: int) -> Ints:
    """Return the fold (N,) of each photo: those of the run, or with another seed."""
    if division == 0:
        return experiment.fold.astype(np.int64)
    table = folding.build(
        experiment.manifest, experiment.cfg.space, k=experiment.cfg.folds.k, holdout=0.2, seed=division
    )
    return table["fold"].to_numpy(np.int64)


def computed(wanted: Sequence[Variant], photos: Photos, fold_N: Ints, folder: Path) -> None:
    """Compute the rows of every variant and fold that are not in the folder."""
    for k in np.unique(fold_N).tolist():
        places = [(one, folder / str(k) / f"{one.name}.npz") for one in wanted]
        missing = [(one, place) for one, place in places if not place.exists()]
        if not missing:
            continue
        here = split(photos, fold_N, k)
        (folder / str(k)).mkdir(parents=True, exist_ok=True)
        began = time.process_time()
        here.log_base()
        print(f"fold {k}: the base took {time.process_time() - began:.1f} s", flush=True)
        for one, place in missing:
            before = began if one.name == BASE else time.process_time()
            found = {task: np.exp(log_NC).astype(np.float32) for task, log_NC in one.make(here).items()}
            seconds = time.process_time() - before
            np.savez(place, prob=photos.space.compose(found), seconds=seconds)
            print(f"fold {k}: {one.name} {seconds:.1f} s", flush=True)


def gathered(one: Variant, fold_N: Ints, folder: Path, size: int) -> tuple[Floats, float]:
    """Return the out-of-fold probabilities (N, J) of a variant, and its seconds."""
    prob_NJ, seconds = np.empty((len(fold_N), size), dtype=np.float32), 0.0
    for k in np.unique(fold_N).tolist():
        with np.load(folder / str(k) / f"{one.name}.npz") as stored:
            prob_NJ[fold_N == k] = stored["prob"]
            seconds += float(stored["seconds"])
    return prob_NJ, seconds


def compared(wanted: Sequence[Variant], photos: Photos, ids: Sequence[str], folds: dict[Path, Ints]) -> list[Compared]:
    """Score all variants against the base, in the order of the table."""
    ways = sum(len(one.modes) for one in wanted if one.name != BASE) * len(RULES)
    found, bases = list[Compared](), dict[str, Rows]()
    for one in wanted:
        rows = [gathered(one, fold_N, folder, photos.space.size) for folder, fold_N in folds.items()]
        seconds = sum(own for _, own in rows) / len(rows)
        for mode in one.modes:
            own = rows_of(one, mode, [prob_NJ for prob_NJ, _ in rows], list(folds.values()), photos, ids)
            base = bases.setdefault(mode, own)  # the base comes first
            found.append(compare(one, mode, base, own, photos, seconds, tried=ways))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Compute what is missing and print the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--out", type=Path, required=True, metavar="OUT")
    parser.add_argument("--weights", required=True, metavar="FILE", help="of the backbone")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="only these variants, and the base")
    parser.add_argument("--divisions", nargs="+", type=int, default=[0], metavar="N", help="seeds of the folds")
    parser.add_argument("--write", type=Path, default=None, metavar="FILE", help="Markdown file to write")
    parser.add_argument("--detector", type=Path, metavar="FILE", help="of faces, YuNet: variants of aligned photos too")
    parser.add_argument("--others", nargs="+", type=Path, default=[], metavar="RUN", help="heads on other backbones")
    given = parser.parse_args(argv)
    known = variants(aligned=given.detector is not None, others=[run.name for run in given.others])
    wanted = [one for one in known if not given.only or one.name in {BASE, *given.only}]
    if unknown := set(given.only) - {one.name for one in wanted}:
        parser.error(f"no such variant: {', '.join(sorted(unknown))}")
    run, file = prepared(given.data, given.out, given.weights)
    experiment, _ = open_experiment(RunDir(run.path))
    detector = given.detector
    aligned_ND = None if detector is None else aligned_features(given.data, given.out, given.weights, detector)
    ids = experiment.manifest["id"].tolist()
    others = {other.name: other_features(RunDir(other), ids) for other in given.others}
    photos = photos_of(experiment, file, aligned_ND, others)
    folds = {given.out / "rows" / str(seed): fold_of(experiment, seed) for seed in given.divisions}
    with one_thread_of_blas():
        for folder, fold_N in folds.items():
            computed(wanted, photos, fold_N, folder)
        found = compared(wanted, photos, ids, folds)
    ways = sum(len(one.modes) for one in wanted if one.name != BASE) * len(RULES)
    options = " ".join(
        [
            *(["--detector FILE"] if detector is not None else []),
            *(["--others", *["RUN"] * len(given.others)] if given.others else []),
            *(["--only", *given.only] if given.only else []),
            f"--divisions {' '.join(map(str, given.divisions))}",
            *([] if given.write is None else [f"--write {given.write}"]),
        ]
    )
    heading = [
        "# Variants of heads on frozen features",
        "",
        "Additions to the recipe `faces_frozen` on the same features. Made by",
        "",
        f"    python benchmarks/feature_heads.py DATA --out OUT --weights FILE {options}",
        "",
        f"- Data: {len(ids):,} photos of {len(np.unique(photos.person_N)):,} people. {date.today()}, "
        f"maskcls {maskcls.__version__}, torch {torch.__version__}, `{experiment.cfg.model.backbone}`.",
    ]
    text = report(found, heading, tried=ways, divisions=len(folds))
    print(text)
    if given.write is not None:
        given.write.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
