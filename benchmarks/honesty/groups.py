"""Whether averaging within groups gains among new people what out-of-fold rows promise.

    python benchmarks/honesty/groups.py [--seed 0] simulate [--repeats 30] [--people 300] [--noise 0.3 …] [--remember 1]
    python benchmarks/honesty/groups.py [--seed 0] photos DATA --weights FILE [--repeats 10]

`simulate` draws people who look similar more and more often, with labels that partly follow their looks. `photos`
splits the labelled people of a real data set at random; noise is added to its thumbnails, in steps, so that people look
similar.
Both then do the same: the first people train networks by folds and the model of looks; the gain is promised from their
out-of-fold rows; and it is measured on the other people, who were left out of everything, predicted by the mean of all
networks. The networks are kernel ridge regressions of drawn features, which remember their training people, or logistic
regressions of a fixed backbone's features.

Columns: `before` is the gain that was promised until now, with groups cut at the folds; `uncut` is that of whole
groups of the rows as they were predicted, some of them by networks that know the label of a similar photo; `now` is
the smaller gain of the two ways (see maskcls/results/people/stand_ins.py), expected among as many photos as the new
ones; `true` is what the new people gain. `on` is the share of repetitions in which the gain counts as proven, and
`kept` the mean gain of new people if averaging is switched off in the others. The numbers after ± are standard errors
of the mean difference to `true`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from maskcls.backbone import Backbone
from maskcls.labels import CONTEST, Floats, Ints
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.people.averaging import average_groups, cross_fit_averages
from maskcls.results.people.clustering import PersonClustering, fit_clustering, pair_quality
from maskcls.results.people.out_of_fold import GroupedRows, gain_over, measure_groups
from maskcls.results.people.pair_rates import PairRates
from maskcls.results.predictions import Predictions
from maskcls.results.scores.metrics import score

SHARED, FOLDS, SHOTS = ("gender", "age"), 5, 7
NOISE = (0.1, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6)  # how much photos of one person differ, relative to people
THUMBNAIL_NOISE = (0.0, 20.0, 25.0, 30.0, 34.0)  # added to every number of real thumbnails, so that people look similar
RIDGE, WIDTH = 1.0, 25.0

Values = NDArray[Any]
Rng = np.random.Generator


@dataclass(frozen=True, eq=False)
class Photos:
    """Photos of known people: look (N, D) for the grouping, face (N, F) for the networks, who (N,), and labels."""

    look: Values
    face: Values
    who: Ints
    truth: Mapping[str, Ints]

    def of(self, rows: Values) -> Photos:
        """Return some of the rows, with people numbered from 0."""
        who = np.unique(self.who[rows], return_inverse=True)[1]
        return Photos(self.look[rows], self.face[rows], who, {name: label[rows] for name, label in self.truth.items()})


def draw_people(people: int, noise: float, remember: float, rng: Rng) -> Photos:
    """Draw people with seven photos each, one without a mask, one with a wrong one.

    noise     standard deviation of a photo's look around the person's, in eight numbers of variance 1 between people.
    remember  how much of the look the networks see, so that they know people who look similar.
    """
    look, who = rng.normal(size=(people, 8)), np.repeat(np.arange(people), SHOTS)
    gender = look[:, 0] * 0.6 + rng.normal(size=people) * 0.8 > 0
    age = np.digitize(look[:, 1] * 0.6 + rng.normal(size=people) * 0.8, [0.2, 1.2])
    mask, photos = np.tile([0, 0, 0, 0, 0, 1, 2], people), people * SHOTS
    seen = np.array([0.45, 0.7, 1.0])[mask][:, np.newaxis] * np.stack([gender * 2 - 1, age - 0.7], 1)[who] * 0.9
    shown = look[who] + noise * rng.normal(size=(photos, 8))
    own = rng.normal(size=(people, 6))[who] * 0.5 + 0.3 * rng.normal(size=(photos, 6))
    masks = np.eye(3)[mask] * 4 + rng.normal(size=(photos, 3)) * 0.8
    again = look[who] + noise * rng.normal(size=(photos, 8))
    face = np.hstack([seen + rng.normal(size=(photos, 2)), remember * again * 0.5, own, masks])
    light = rng.normal(size=(photos, 16))  # the same for all people
    return Photos(np.hstack([shown, light]), face, who, {"mask": mask, "gender": gender[who] * 1, "age": age[who]})


def train_kernel(photos: Photos) -> Callable[[Values], Floats]:
    """Fit kernel ridge regressions of all labels; return a function from faces to joint probabilities."""
    target = np.hstack([np.eye(len(task.classes))[photos.truth[task.name]] for task in CONTEST.tasks])
    mean, gram = target.mean(axis=0), _kernel(photos.face, photos.face)
    weight = cho_solve(cho_factor(gram + RIDGE * np.eye(len(gram))), target - mean)

    def predict(face: Values) -> Floats:
        score_NC, parts, start = _kernel(face, photos.face) @ weight + mean, {}, 0
        for task in CONTEST.tasks:
            part = np.clip(score_NC[:, start : start + len(task.classes)], 0.02, None) ** 1.5
            parts[task.name] = (part / part.sum(axis=1, keepdims=True)).astype(np.float32)
            start += len(task.classes)
        return CONTEST.compose(parts)

    return predict


def train_linear(photos: Photos) -> Callable[[Values], Floats]:
    """Fit logistic regressions of all labels; return a function from faces to joint probabilities."""
    from sklearn.linear_model import LogisticRegression

    fitted = {}
    for task in CONTEST.tasks:
        fitted[task.name] = LogisticRegression(C=100.0, max_iter=300).fit(photos.face, photos.truth[task.name])

    def predict(face: Values) -> Floats:
        return CONTEST.compose({name: one.predict_proba(face).astype(np.float32) for name, one in fitted.items()})

    return predict


def _kernel(a: Values, b: Values) -> Values:
    return np.exp(-((a**2).sum(axis=1)[:, np.newaxis] + (b**2).sum(axis=1) - 2 * a @ b.T) / WIDTH)


@dataclass(frozen=True, eq=False)
class Networks:
    """Networks of all folds: out-of-fold rows of the known people, and the mean of all networks for new faces."""

    rows: LabelledPredictions
    predict: Callable[[Values], Floats]


@dataclass(frozen=True, eq=False)
class Trained:
    """What known people gave: networks, the model of looks, the measured gain, and pairs per photo."""

    networks: Networks
    looks: PersonClustering
    measured: GroupedRows
    rates: PairRates


def train_folds(known: Photos, train: Callable[[Photos], Callable[[Values], Floats]], rng: Rng) -> Networks:
    """Train one network per fold."""
    fold_N = (rng.permutation(int(known.who.max()) + 1) % FOLDS)[known.who]
    prob_NJ, networks = np.empty((len(fold_N), CONTEST.size), np.float32), []
    for k in range(FOLDS):
        networks.append(train(known.of(np.flatnonzero(fold_N != k))))
        prob_NJ[fold_N == k] = networks[-1](known.face[fold_N == k])
    ids, people = [f"{row}" for row in range(len(fold_N))], known.who.astype(np.str_)
    rows = LabelledPredictions(ids, prob_NJ.argmax(axis=1), known.truth, CONTEST, prob_NJ, people, fold_N)
    return Networks(rows, lambda face: np.mean([one(face) for one in networks], axis=0))


def learn_looks(known: Photos, networks: Networks, rng: Rng) -> Trained:
    """Fit the model of looks, and measure the gain on the networks' out-of-fold rows."""
    half_N = (rng.permutation(int(known.who.max()) + 1) % 2)[known.who]
    looks = fit_clustering(known.look, known.who, half_N)
    fold_N = networks.rows.fold_N
    assert fold_N is not None
    measured = measure_groups(networks.rows, looks.group_N, fold_N, SHARED)
    rates = PairRates.of(looks.group_N, looks.quality.precision, len(half_N) / 2)
    return Trained(networks, looks, measured, rates)


def true_gain(trained: Trained, new: Photos) -> tuple[float, float]:
    """Return the gain of averaging among new people, and their pair precision."""
    ids = np.arange(len(new.who)).astype(np.str_)
    alone = Predictions(ids, trained.networks.predict(new.face), CONTEST)
    group_N, gain = trained.looks.clusterer.groups(new.look), trained.measured.gain
    after = average_groups(alone, group_N, SHARED, weights=trained.measured.weights[gain.way])
    scores = [score(one.labels(), new.truth, CONTEST).macro_f1 for one in (alone, after)]
    return scores[1] - scores[0], pair_quality(group_N, new.who).precision


def compare(trained: Trained, news: list[Photos]) -> list[float]:
    """Return one repetition's numbers, in the order of HEAD; several sets of new people, of one size, are averaged."""
    gain, photos = trained.measured.gain, len(news[0].who)
    precision = trained.rates.precision(photos)
    now, (true, true_precision) = gain.among(precision), np.mean([true_gain(trained, new) for new in news], axis=0)
    held = trained.looks.quality.precision
    kept = true if now.proven else 0.0
    before = [gain.cut.value, float(gain.cut.low > 0), leaking_gain(trained)]
    return [held, precision, true_precision, *before, now.value, float(now.proven), true, kept]


def leaking_gain(trained: Trained) -> float:
    """Return the gain of averaging whole groups of out-of-fold rows as every fold's network predicted them."""
    rows = trained.networks.rows
    assert rows.prob_NJ is not None
    assert rows.fold_N is not None
    alone = Predictions(np.array(rows.ids), rows.prob_NJ, CONTEST)
    after = cross_fit_averages(alone, rows.truth, trained.looks.group_N, rows.fold_N, SHARED)
    return gain_over(rows, after).value


HEAD = ("held-out precision", "expected", "true precision", "before", "on", "uncut", "now", "on", "true", "kept")
PROMISES, TRUE = {"before": 3, "uncut": 5, "now": 6}, 8  # columns


def row(name: str, numbers: list[list[float]]) -> str:
    """Return a table row: means over the repetitions, and the differences of the promises to the truth."""
    table = np.array(numbers)
    mean, error = table.mean(axis=0), [table[:, c] - table[:, TRUE] for c in PROMISES.values()]
    off = [f"{e.mean():+.3f} ± {e.std(ddof=min(1, len(e) - 1)) / len(e) ** 0.5:.3f}" for e in error]
    cells = [f"{value:.3f}" if c in (0, 1, 2, 4, 7) else f"{value:+.3f}" for c, value in enumerate(mean)]
    return f"| {name} | " + " | ".join(cells + off) + " |"


def simulate(args: argparse.Namespace) -> Iterator[str]:
    """Yield the table's rows: for each noise, among so many new people per known one."""
    for noise in args.noise:
        numbers: dict[float, list[list[float]]] = {size: [] for size in args.sizes}
        for repeat in range(args.repeats):
            rng = np.random.default_rng([args.seed, repeat, round(noise * 1000)])
            known = draw_people(args.people, noise, args.remember, rng)
            trained = learn_looks(known, train_folds(known, train_kernel, rng), rng)
            for size, found in numbers.items():
                news = [draw_people(round(args.people * size), noise, args.remember, rng) for _ in range(2)]
                found.append(compare(trained, news))
        for size, found in numbers.items():
            yield row(f"{noise}, {size:g} n", found)


def real(args: argparse.Namespace) -> Iterator[str]:
    """Yield a row per noise: half of the labelled people of a data set learn, the others are new; random halves."""
    photos = read_photos(args.data, args.weights)
    numbers: dict[float, list[list[float]]] = {noise: [] for noise in THUMBNAIL_NOISE}
    for repeat in range(args.repeats):
        rng = np.random.default_rng([args.seed, repeat])
        learns_N = (rng.permutation(int(photos.who.max()) + 1) % 2 == 0)[photos.who]
        known, new = (photos.of(np.flatnonzero(part)) for part in (learns_N, ~learns_N))
        networks = train_folds(known, train_linear, rng)
        for noise, found in numbers.items():
            blurred = [
                replace(part, look=part.look + noise * rng.normal(size=part.look.shape)) for part in (known, new)
            ]
            found.append(compare(learn_looks(blurred[0], networks, rng), [blurred[1]]))
    for noise, found in numbers.items():
        yield row(f"{noise:g}", found)


def blurred(photos: Photos, noise: float, rng: Rng) -> Photos:
    """Add noise to the looks."""
    return replace(photos, look=photos.look + noise * rng.normal(size=photos.look.shape))


def read_photos(data: Path, weights: Path) -> Photos:
    """Read the labelled photos of a contest's data set: thumbnails, and the features of a fixed backbone."""
    import cv2
    import torch

    from maskcls.data.layouts.source import image_root, read_labelled
    from maskcls.data.photos.descriptors import descriptors
    from maskcls.data.photos.images import read_image
    from maskcls.data.rows.manifest import labels
    from maskcls.nn.network import build_network, load_trunk

    frame = read_labelled(data, "contest", CONTEST)
    root, paths = image_root(data, "contest"), frame["path"].tolist()
    network = build_network(Backbone("mobilenetv4_conv_small"), {"mask": 3}, size=(128, 96))
    load_trunk(network, weights)
    scale = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, :, np.newaxis, np.newaxis]
    face, trunk = [], network.trunk.eval()
    with torch.inference_mode():
        for start in range(0, len(paths), 64):
            images = [cv2.resize(read_image(root / p), (96, 128), interpolation=3) for p in paths[start : start + 64]]
            pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
            face.append(trunk((pixels - scale[0]) / scale[1]).numpy())
    who = np.unique(frame["person"].to_numpy(np.str_), return_inverse=True)[1]
    return Photos(descriptors(root, paths, threads=1), _leading(np.concatenate(face)), who, labels(frame, CONTEST))


def _leading(feature_NF: Values, axes: int = 100) -> Values:
    """Return the leading principal components, scaled to a mean variance of 1; no label is used."""
    centred = feature_NF.astype(np.float64) - feature_NF.mean(axis=0)
    left, value, _ = np.linalg.svd(centred, full_matrices=False)
    axis_NA = left[:, :axes] * value[:axes]
    return axis_NA / np.sqrt(axis_NA.var(axis=0).mean())


def argument_parser() -> argparse.ArgumentParser:
    """Return the command line of the header."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    kinds = parser.add_subparsers(dest="kind", required=True)
    drawn, photos = kinds.add_parser("simulate"), kinds.add_parser("photos")
    drawn.add_argument("--people", type=int, default=300)
    drawn.add_argument("--repeats", type=int, default=30)
    drawn.add_argument("--sizes", type=float, nargs="+", default=[0.5, 1.0, 2.0], help="new people per known person")
    drawn.add_argument("--noise", type=float, nargs="+", default=NOISE, help="of photos of one person")
    drawn.add_argument("--remember", type=float, default=1.0)
    photos.add_argument("data", type=Path)
    photos.add_argument("--weights", type=Path, required=True)
    photos.add_argument("--repeats", type=int, default=10)
    return parser


def main() -> None:
    """Print the table."""
    args = argument_parser().parse_args()
    names = ["", *HEAD, *(f"{name} - true" for name in PROMISES)]
    print("| " + " | ".join(names) + " |\n|" + "---|" * len(names))
    for line in simulate(args) if args.kind == "simulate" else real(args):
        print(line, flush=True)


if __name__ == "__main__":
    main()
