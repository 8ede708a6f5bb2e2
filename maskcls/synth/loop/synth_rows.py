"""The photos that one generator is trained on: of the training people of its fold, and nobody else.

N rows, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from maskcls.data.dataset import Key
from maskcls.data.rows import manifest as tables
from maskcls.data.views.transforms import ViewSpec
from maskcls.errors import MaskclsError
from maskcls.labels import UNKNOWN, Bools, Ints, LabelSpace
from maskcls.rundir import REFIT
from maskcls.schema import Config
from maskcls.training.experiment import Experiment, view_spec
from maskcls.training.photos import open_photos

READ_AT_ONCE = 256  # photos


@dataclass(frozen=True)
class SynthRows:
    """What one generator is trained on.

    images_NHWC  (N, H, W, 3) uint8 RGB, cropped as for the classifier, of `synth.size`.
    label_N      (N,) joint class, 0..J-1; rows with an unknown label are not here.
    labels       {task: (N,)} class index.
    person_N     (N,) int64, the number of each row's person in the experiment.
    ids          (N,) row ids.
    target_N     (N,) bool, whether the row is of `classes`.
    space        the tasks.
    fold         whose validation people are left out; REFIT: nobody is.
    classes      the classes that examples are made of, per task; a row is of them if it is of one in every task named.
    """

    images_NHWC: NDArray[np.uint8]
    label_N: Ints
    labels: Mapping[str, Ints]
    person_N: Ints
    ids: tuple[str, ...]
    target_N: Bools
    space: LabelSpace
    fold: int
    classes: Mapping[str, tuple[str, ...]]

    @property
    def rare_people(self) -> int:
        """The number of people with a row of `classes`."""
        return len(np.unique(self.person_N[self.target_N]))


def synth_spec(cfg: Config) -> ViewSpec:
    """Return the view that generators see: the classifier's crop, resized to synth.size."""
    return replace(view_spec(cfg), size=cfg.synth.size)


def synth_rows(experiment: Experiment, k: int) -> SynthRows:
    """Return the rows of the generator of fold k, or of REFIT: real photos of the fold's training people.

    Nothing of the fold's validation people is looked at. The photos come from `experiment.views` if `synth_spec` is
    there, else from their files. Raises DataError for a photo that cannot be read.
    """
    cfg = experiment.cfg
    row_N = generator_rows(experiment, k)
    labels = {name: label_N[row_N] for name, label_N in experiment.labels.items()}
    person_N = experiment.people[row_N]
    classes = cfg.synth.classes or rarest_class(labels, person_N, cfg.space)
    return SynthRows(
        images_NHWC=view_images(experiment, row_N, synth_spec(cfg)),
        label_N=cfg.space.encode(labels),
        labels=labels,
        person_N=person_N,
        ids=tuple(experiment.manifest["id"].iloc[row_N].tolist()),
        target_N=of_classes(labels, classes, cfg.space),
        space=cfg.space,
        fold=k,
        classes=classes,
    )


def generator_rows(experiment: Experiment, k: int) -> Ints:
    """Return the rows (N,) of the experiment that the generator of a fold may see, see `synth_rows`."""
    cfg = experiment.cfg
    kept_N = tables.real_rows(experiment.manifest) & (cfg.space.encode(experiment.labels) != UNKNOWN)
    if k != REFIT:
        kept_N &= experiment.fold != k
    if cfg.binned is not None and cfg.age.drop:
        kept_N &= ~np.isin(experiment.values[cfg.binned.name], cfg.age.drop)
    return np.flatnonzero(kept_N)


def rarest_class(labels: Mapping[str, Ints], person_N: Ints, space: LabelSpace) -> dict[str, tuple[str, ...]]:
    """Return the class of any task that has the fewest people, but at least one; the first one where several have.

    labels  {task: (N,)}, -1 = unknown. {} where no row has a label.

    >>> from maskcls.labels import Task
    >>> pair = LabelSpace((Task("t", ("a", "b", "c")),))
    >>> rarest_class({"t": np.array([0, 0, 1, 1, 1])}, np.array([0, 1, 2, 2, 2]), pair)
    {'t': ('b',)}
    """
    counts = {
        (task.name, name): len(np.unique(person_N[labels[task.name] == index]))
        for task in space.tasks
        for index, name in enumerate(task.classes)
    }
    seen = {key: count for key, count in counts.items() if count}
    if not seen:
        return {}
    task, name = min(seen, key=lambda key: seen[key])
    return {task: (name,)}


def of_classes(labels: Mapping[str, Ints], classes: Mapping[str, tuple[str, ...]], space: LabelSpace) -> Bools:
    """Return which rows (N,) have, in every named task, one of the named classes; none where no task is named."""
    if not classes:
        return np.zeros(len(next(iter(labels.values()))), dtype=bool)
    masks = [
        np.isin(labels[name], [space.task(name).classes.index(one) for one in wanted])
        for name, wanted in classes.items()
    ]
    target_N: Bools = np.logical_and.reduce(masks)
    return target_N


def view_images(experiment: Experiment, row_N: Ints, spec: ViewSpec) -> NDArray[np.uint8]:
    """Return photos (N, H, W, 3) uint8 RGB of an experiment in a view, without anything random.

    They come from `experiment.views` if the view is there, else from their files. Raises DataError for a photo that
    cannot be read.
    """
    views = {spec: experiment.views[spec]} if spec in experiment.views else {}
    frame = experiment.manifest.assign(path=experiment.photo_paths)
    photos = open_photos(
        experiment.photo_root, frame, [spec], views, seed=experiment.cfg.seed, bare=True, known=experiment.photos
    )
    images_NHWC = np.empty((len(row_N), *spec.size, 3), dtype=np.uint8)
    for first in range(0, len(row_N), READ_AT_ONCE):
        read = photos.__getitems__([Key(int(row)) for row in row_N[first : first + READ_AT_ONCE]])
        if isinstance(read, MaskclsError):
            raise read
        (images_NHWC[first : first + READ_AT_ONCE],) = read
    return images_NHWC
