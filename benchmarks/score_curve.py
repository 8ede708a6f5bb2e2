"""Score over processor time on a data set in the contest's layout: short trainings of maskcls and of timm.

Compared  first_minutes, faces_frozen   heads on a frozen backbone, see docs/first_minutes.md; every photo alone.
          multi                         `--config multi` for 1, 2, 4 and 10 epochs.
          fitted heads                  multi with train.start_heads=fitted, layer_decay=0.8 and the same rate for the
                                        heads, for 1 and 2 epochs, with the rates 1e-4 and 3e-5.
          timm                          timm's public parts put together like its train.py, see timm_folds.py: the whole
                                        network, or the classifier alone (frozen).
          All start from the same weights. A number of epochs is a training of its own with a schedule of that length;
          its last epoch is scored. Schedules of other lengths share nothing.
Counted   Macro-F1 over the joint classes, argmax, of the validation rows of --folds together, the same rows for all.
          The probabilities of a photo and its mirror image are averaged; faces_frozen has eight views by its recipe.
          Minutes of the processor, user and system, of a new process and its children: start of the program, reading
          and checking, features, training and prediction of all --folds. maskcls begins with an empty cache and writes
          no page. One thread, fp32, channels last, no further processes for photos.
Rate      timm's is the best of --rates (the whole network) and --frozen-rates after one epoch with seed 0 on fold
          --choice, which is not scored. maskcls's are those of its recipes.
Run       python benchmarks/score_curve.py DATA --weights FILE --out FOLDER [--picture FILE.png]
Read      A curve that is higher at the same minutes is better. The last column is the score minus that of timm's best
          point, which is chosen by these scores, with its 95 % interval over people and the seeds that both
          have; with one seed in common, over people alone.

Given again, what is finished in FOLDER is kept; an interrupted training begins again. N rows.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from alternate import MASKCLS, environment, in_process, say

from maskcls import files
from maskcls.labels import Ints
from maskcls.results.comparison.over_seeds import difference_over_seeds
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.rows_by_id import rows_of
from maskcls.results.scores.metrics import confusion, macro_f1
from maskcls.rundir import RunDir
from maskcls.runs.read_labelled import read_out_of_fold
from maskcls.show.pages import palette
from maskcls.show.pages.figure import Figure, to_png
from maskcls.show.pages.table import Table

TIMM_FOLDS = Path(__file__).with_name("timm_folds.py")
SHARED = ("train.report=false", "device.type=cpu", "device.threads=1", "device.workers=0", "device.precision=fp32")
LAYOUT = "device.memory_format=channels_last"
STEPS = ("train.fold_jobs=1", "train.select=last")  # nothing to choose: a training in steps, of folds one by one
FITTED = ("train.start_heads=fitted", "optim.head_lr_scale=1", "optim.layer_decay=0.8")
SIZE = (128, 96)  # height, width of the recipes
CHOICE_EPOCHS = 1


@dataclass(frozen=True)
class Curve:
    """One way to train. epochs: a training of each length, (0,) for heads alone, which have no seed.

    words  settings of maskcls after `--config`; None: it is timm's. frozen: of timm, the classifier alone is trained.
    """

    name: str
    epochs: tuple[int, ...]
    words: tuple[str, ...] | None = None
    frozen: bool = False

    @property
    def seeded(self) -> bool:
        """Whether seeds matter."""
        return self.epochs != (0,)


CURVES = (
    Curve("first_minutes", (0,), ("first_minutes",)),
    Curve("faces_frozen", (0,), ("faces_frozen", "predict.groups=none")),
    Curve("multi", (1, 2, 4, 10), ("multi", *STEPS)),
    Curve("fitted heads 1e-4", (1, 2), ("multi", *STEPS, *FITTED, "optim.lr=1e-4")),
    Curve("fitted heads 3e-5", (1, 2), ("multi", *STEPS, *FITTED, "optim.lr=3e-5")),
    Curve("timm", (1, 2, 4, 10)),
    Curve("timm frozen", (1, 2, 4, 10), frozen=True),
)
REFERENCE = CURVES[0]  # its run gives rows, labels and folds


@dataclass(frozen=True)
class Point:
    """One training: its curve, epochs and seed."""

    curve: Curve
    epochs: int
    seed: int

    @property
    def folder(self) -> str:
        """The name of its folder below --out."""
        return f"{self.curve.name.replace(' ', '_')}-{self.epochs}-{self.seed}"


@dataclass(frozen=True)
class Scored:
    """A point of a curve by its measured seeds: minutes, predicted joint classes (N,), score."""

    curve: Curve
    epochs: int
    minutes: dict[int, float]
    predicted: dict[int, Ints]
    scores: dict[int, float]

    @property
    def mean_minutes(self) -> float:
        """The mean over the seeds."""
        return float(np.mean(list(self.minutes.values())))

    @property
    def mean_score(self) -> float:
        """The mean over the seeds."""
        return float(np.mean(list(self.scores.values())))

    @property
    def title(self) -> str:
        """The curve, and its epochs where there are any."""
        return self.curve.name if not self.epochs else f"{self.curve.name}, {epochs_text(self.epochs)}"


def epochs_text(epochs: int) -> str:
    """Return a number of epochs in words.

    >>> epochs_text(1), epochs_text(2)
    ('1 epoch', '2 epochs')
    """
    return f"{epochs} epoch{'s' if epochs > 1 else ''}"


def points_of(curves: Sequence[Curve], seeds: Sequence[int], longest: int) -> list[Point]:
    """Return all points of up to so many epochs: the shorter trainings first, each with every seed."""
    found = [
        Point(curve, epochs, seed)
        for seed in seeds
        for curve in curves
        for epochs in curve.epochs
        if epochs <= longest and (curve.seeded or seed == seeds[0])
    ]
    return sorted(found, key=lambda point: point.epochs)


# --- measuring


def measured(command: Sequence[str], **more: str) -> tuple[dict[str, Any], float]:
    """Run a command; returns the JSON it prints, and its minutes of processor time, with those of its children."""
    began = os.times()
    record = in_process(command, environment(1, **more))
    ended = os.times()
    seconds = ended.children_user - began.children_user + ended.children_system - began.children_system
    return record, seconds / 60


def is_finished(folder: Path, rate: float | None) -> bool:
    """Tell whether a point is measured, timm's with this rate."""
    kept = folder / "point.json"
    return kept.exists() and files.read_json(kept).get("lr") == rate


def measure(point: Point, a: argparse.Namespace, rate: float | None) -> None:
    """Measure one point into its folder below --out: point.json, and maskcls's run. rate: of timm."""
    folder = a.out / point.folder
    shutil.rmtree(folder, ignore_errors=True)  # what an interrupted measurement has left
    folder.mkdir(parents=True)
    record: dict[str, Any]
    if rate is not None:
        record, minutes = timm_folds(point.curve, a, a.folds, point.epochs, rate, point.seed)
        record = {"ids": record["ids"], "predicted": record["predicted"], "lr": rate}
    else:
        minutes = maskcls_train(point, a, folder / "run")
        labelled = read_out_of_fold(RunDir(folder / "run"))
        record = {"ids": list(labelled.ids), "predicted": labelled.pred_N.tolist()}
    files.commit_json(folder / "point.json", {"minutes": minutes} | record)
    say(f"{point.folder}: {minutes:.2f} minutes")


def maskcls_train(point: Point, a: argparse.Namespace, run: Path) -> float:
    """Train with an empty cache; returns the minutes."""
    assert point.curve.words is not None
    name, *words = point.curve.words
    own = [f"model.weights={a.weights}", f"seed={point.seed}", *SHARED, LAYOUT]
    own += [f"train.epochs={point.epochs}"] if point.epochs else []
    command = [*MASKCLS, "train", str(a.data), "--config", name, "--run", str(run)]
    command += ["--folds", ",".join(map(str, a.folds)), *words, *own]
    with tempfile.TemporaryDirectory() as cache:
        return measured(command, MASKCLS_CACHE=cache)[1]


def timm_folds(
    curve: Curve, a: argparse.Namespace, folds: Sequence[int], epochs: int, rate: float, seed: int
) -> tuple[dict[str, Any], float]:
    """Train with timm; returns ids and predicted classes, and the minutes."""
    command = [sys.executable, str(TIMM_FOLDS), str(a.data), str(reference_run(a).path), "--weights", str(a.weights)]
    command += ["--folds", *map(str, folds), "--epochs", str(epochs), "--lr", str(rate), "--seed", str(seed)]
    command += ["--size", *map(str, SIZE), *(["--frozen"] if curve.frozen else [])]
    return measured(command)


def reference_run(a: argparse.Namespace) -> RunDir:
    """Return the run whose rows, labels and folds are used for all."""
    return RunDir(a.out / Point(REFERENCE, 0, a.seeds[0]).folder / "run")


def choose_rate(curve: Curve, a: argparse.Namespace) -> float:
    """Return the rate with the best score on the fold --choice; what is measured is kept."""
    rates = a.frozen_rates if curve.frozen else a.rates
    kept = a.out / f"{curve.name.replace(' ', '_')}-rates.json"
    known: dict[str, float] = files.read_json(kept) if kept.exists() else {}
    for rate in rates:
        if f"{rate:g}" not in known:
            record, _ = timm_folds(curve, a, [a.choice], CHOICE_EPOCHS, rate, 0)
            known[f"{rate:g}"] = score_of_fold(record, reference_run(a))
            files.commit_json(kept, known)
    best = max(rates, key=lambda rate: known[f"{rate:g}"])
    tried = ", ".join(f"{rate:g} {known[f'{rate:g}']:.3f}" for rate in rates)
    say(f"{curve.name}: rates on fold {a.choice}: {tried}; {best:g} is used")
    return float(best)


def score_of_fold(record: Mapping[str, Any], run: RunDir) -> float:
    """Return the macro-F1 of predicted rows of any fold, with the labels of a run's table."""
    from timm_folds import rows_of_run

    rows = rows_of_run(Path(), run)
    truth_N = rows.joint_N[rows_of(rows.ids, record["ids"])]
    return macro_f1(confusion(truth_N, np.array(record["predicted"]), rows.classes))


# --- what is shown


def read_points(a: argparse.Namespace, curves: Sequence[Curve], reference: LabelledPredictions) -> list[Scored]:
    """Read what is measured, in the order of the curves and epochs; what has no seed counts for every seed."""
    truth_N, found = reference.space.encode(reference.truth), []
    for curve in curves:
        for epochs in curve.epochs:
            records: dict[int, Any] = {}
            for seed in a.seeds:
                kept = a.out / Point(curve, epochs, seed if curve.seeded else a.seeds[0]).folder / "point.json"
                if kept.exists():
                    records[seed] = files.read_json(kept)
            if not records:
                continue
            predicted = {seed: in_order(record, reference.ids) for seed, record in records.items()}
            size = reference.space.size
            scores = {seed: macro_f1(confusion(truth_N, one, size)) for seed, one in predicted.items()}
            minutes = {seed: float(record["minutes"]) for seed, record in records.items()}
            found.append(Scored(curve, epochs, minutes, predicted, scores))
    return found


def in_order(record: Mapping[str, Any], ids: Sequence[str]) -> Ints:
    """Return the predicted classes (N,) in the order of ids; SystemExit for other rows."""
    if sorted(record["ids"]) != sorted(ids):
        raise SystemExit("points have different rows: name another --out for other --folds or other data")
    return np.array(record["predicted"], np.int64)[rows_of(record["ids"], ids)]


def best_of_timm(scored: Sequence[Scored]) -> Scored | None:
    """Return timm's point with the highest mean score; None without one."""
    return max((one for one in scored if one.curve.words is None), key=lambda one: one.mean_score, default=None)


def table_of(scored: Sequence[Scored], reference: LabelledPredictions, seeds: Sequence[int]) -> Table:
    """Return one row per point; the last column is its score minus that of timm's best point, with an interval."""
    best = best_of_timm(scored)
    rows = []
    for one in scored:
        each = [f"{one.scores[seed]:.3f}" if seed in one.scores else "-" for seed in seeds]
        row = [one.title, f"{one.mean_minutes:.1f}", *each, f"{one.mean_score:.3f}"]
        rows.append(row if best is None else [*row, "" if one is best else over(one, best, reference)])
    head = ["training", "CPU minutes", *(f"seed {seed}" for seed in seeds), "mean macro-F1"]
    return Table(head if best is None else [*head, f"over {best.title}"], rows)


def over(one: Scored, other: Scored, reference: LabelledPredictions) -> str:
    """Return the difference one - other over the seeds that both have, with its interval; "-" without such a seed."""
    both = sorted(one.predicted.keys() & other.predicted.keys())
    if not both:
        return "-"
    assert reference.people_N is not None
    truth_N, size = reference.space.encode(reference.truth), reference.space.size
    predicted = [[point.predicted[seed] for seed in both] for point in (other, one)]
    gain = difference_over_seeds(truth_N, *predicted, reference.people_N, size)
    return f"{gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"


def markdown(table: Table) -> str:
    """Return a table of Markdown.

    >>> print(markdown(Table(["a", "b"], [["1", "2"]])))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines = [table.head, ["---"] * len(table.head), *table.rows]
    return "\n".join(
        f"|{'|'.join(cells)}|" if place == 1 else f"| {' | '.join(cells)} |" for place, cells in enumerate(lines)
    )


def picture_of(scored: Sequence[Scored], table: Table) -> Figure:
    """Return the picture: minutes on a logarithmic axis, a line through the means, and a dot for every seed."""

    def paint(axes: Any) -> None:
        from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

        curves = list(dict.fromkeys(one.curve for one in scored))
        for place, curve in enumerate(curves):
            colour, own = palette.SERIES[place].light, [one for one in scored if one.curve == curve]
            means = [(one.mean_minutes, one.mean_score) for one in own]
            style = {"linestyle": "--" if curve.words is None else "-", "marker": MARKS[place], "markersize": 7}
            if len(own) == 1:
                style["linestyle"] = ""
            axes.plot(*zip(*means, strict=True), color=colour, label=curve.name, **style)
            for one in own if curve.seeded else ():
                axes.plot(one.minutes.values(), one.scores.values(), ".", color=colour, markersize=5, alpha=0.6)
            for (x, y), one in zip(means, own, strict=True):
                if one.epochs:
                    axes.annotate(str(one.epochs), (x, y), (8, -9), textcoords="offset points", fontsize=8)
        axes.set_xscale("log")
        axes.margins(x=0.08, y=0.08)
        axes.xaxis.set_major_locator(FixedLocator([0.5, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.set_xlabel("minutes of one processor core (logarithmic)")
        axes.set_ylabel("macro-F1 of 18 classes")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))

    about = "Numbers are epochs. Large marks are means over the seeds, small dots the seeds. Dashed: timm."
    return Figure("score-curve", "Macro-F1 over processor time", about, table, paint, (7.6, 4.2))


MARKS = "D*o^vsX"


def arguments_of(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    names = [curve.name for curve in CURVES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--weights", type=Path, required=True, metavar="FILE", help="of mobilenetv4_conv_small")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 1], help="scored folds, of 5")
    parser.add_argument("--choice", type=int, default=4, help="fold that timm's rate is chosen on")
    parser.add_argument("--rates", type=float, nargs="+", default=[3e-4, 1e-3, 3e-3])
    parser.add_argument("--frozen-rates", type=float, nargs="+", default=[1e-3, 3e-3, 1e-2, 3e-2, 1e-1])
    parser.add_argument("--only", nargs="+", default=names, choices=names, metavar="CURVE", help=", ".join(names))
    parser.add_argument("--longest", type=int, default=10, help="epochs; longer trainings are left out")
    parser.add_argument("--show", action="store_true", help="measure nothing more")
    parser.add_argument("--picture", type=Path, default=None, metavar="FILE.png", help="picture to write")
    a = parser.parse_args(argv)
    if a.choice in a.folds:
        parser.error(f"--choice {a.choice} is one of the scored --folds")
    return a


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what is missing, print the table, and write the picture; returns the exit code."""
    a = arguments_of(argv)
    curves, rates = [curve for curve in CURVES if curve.name in a.only], {}
    points = [] if a.show else [Point(REFERENCE, 0, a.seeds[0]), *points_of(curves, a.seeds, a.longest)]
    for point in points:
        if point.curve.words is None and point.curve not in rates:
            rates[point.curve] = choose_rate(point.curve, a)
        if not is_finished(a.out / point.folder, rates.get(point.curve)):
            measure(point, a, rates.get(point.curve))
    reference = read_out_of_fold(reference_run(a))
    scored = read_points(a, curves, reference)
    table = table_of(scored, reference, a.seeds)
    print(markdown(table))
    if a.picture:
        files.commit(a.picture, to_png(picture_of(scored, table)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
