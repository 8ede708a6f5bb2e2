"""The Python API: load a trained model, predict, train, evaluate, combine.

    import maskcls

    model = maskcls.train("faces", "runs/a", config="multi", settings={"optim.lr": 1e-4})
    found = model.predict(["a.jpg", "b.jpg"])
    found.frame()

torch is imported only when a network is trained, or predicts. Every error is a `MaskclsError` with a message that says
what is wrong and how to mend it. Nothing is printed unless `progress` is true; then it goes to stderr.
N photos, J joint classes, H height, W width.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard, get_args

import numpy as np
from numpy.typing import NDArray

from maskcls.config import of_run, with_backbone
from maskcls.config.overrides import refuse_set_twice, written
from maskcls.config.unused_settings import unused_in_training
from maskcls.data.described_config import load_described
from maskcls.errors import DataError, MaskclsError, UsageError
from maskcls.export.open_model import Engine, open_model
from maskcls.labels import Floats, Ints, LabelSpace
from maskcls.machine import reading_threads
from maskcls.results.predictions import Predictions
from maskcls.results.scores.evaluation import Evaluation
from maskcls.rundir import RunDir
from maskcls.runs.checks import check_training, refuse_existing
from maskcls.runs.environment import read_environment
from maskcls.runs.integrity.oof_file import read_run_oof
from maskcls.runs.recipe import files_of, with_answering_run
from maskcls.runs.stages.answering import answering_run
from maskcls.show.terminal.progress import Reporter, main_process

if TYPE_CHECKING:
    from maskcls.data.photos.decode_ahead import Prepared
    from maskcls.results.photo_model import PhotoModel
    from maskcls.show.answers.ensemble import EnsembleResult

__all__ = ["Evaluation", "MaskclsError", "Model", "Predictions", "ensemble", "evaluate", "load", "train"]

Name = str | os.PathLike[str]
Member = Name | tuple[Name, Name]
PhotoLike = Name | NDArray[np.uint8]
Settings = Mapping[str, Any]


@dataclass(eq=False)
class Model:
    """A trained model: the networks of a run folder, or an exported file.

    path      the run folder, or the .onnx file.
    space     tasks and classes. `space.joint_names` are the names of the J joint classes.
    settings  of `predict.*` and `device.*`, by dotted key.
    engine    "torch" or "onnxruntime"; None: torch for a run, onnxruntime for a file.
    rule      whether `decide` uses the decision rule of `maskcls calibrate`.
    progress  whether progress is printed.

    Made by `load` and `train`. The networks are loaded by the first call of `predict`. Not for several threads at a
    time.
    """

    path: Path
    space: LabelSpace
    settings: Settings = field(default_factory=dict)
    engine: Engine | None = None
    rule: bool = False
    progress: bool = False
    _opened: PhotoModel | None = None

    def __repr__(self) -> str:
        return f"Model({str(self.path)!r}, tasks={list(self.space.names)})"

    @property
    def tasks(self) -> dict[str, tuple[str, ...]]:
        """The class names of each task, in the order of their numbers."""
        return {task.name: task.classes for task in self.space.tasks}

    def predict(self, photos: PhotoLike | Iterable[PhotoLike]) -> Predictions:
        """Predict photos; the mean over the networks and the test-time views of the run.

        photos  files, or arrays uint8 (H, W, 3) RGB, upright, of any sizes; one of them, or several. The id of a file
                is its name as given, the id of an array its place among the photos, from "0".

        Returns one row of joint probabilities (N, J) per photo; `Predictions.frame` makes a table of them. Photos are
        not averaged within groups. A file and its array may differ in the last digits: of a large JPEG file only the
        resolution that is needed is decoded.
        Raises DataError for photos that cannot be read and for other arrays or objects, UsageError without photos or
        for a file that is given twice.
        """
        given: list[Any] = list(photos) if is_several(photos) else [photos]
        refuse_other_objects(given)
        ids = [str(place) if isinstance(one, np.ndarray) else str(one) for place, one in enumerate(given)]
        check_photo_ids(ids)
        from maskcls.data.photos.decode_ahead import decoded_chunks

        model, rows, done = self.network(), list[Floats](), 0
        with Reporter(quiet=not self.progress) as report:
            for chunk in decoded_chunks(
                given, at_least=model.decode_size, prepare=model.prepare, threads=reading_threads(None)
            ):
                rows.append(model.predict(readable_photos(chunk, ids[done:])))
                done += len(chunk)
                report.images("predicting", done, len(given))
        return Predictions(np.array(ids, dtype=np.str_), np.concatenate(rows), self.space, dict(model.origin))

    def decide(self, predictions: Predictions) -> Ints:
        """Return the joint class (N,) int64 of each row: by the decision rule of a model that has one.

        Raises UsageError for what is no `Predictions`.
        """
        _check_type(isinstance(predictions, Predictions), "predictions", predictions, "what `predict` returned")
        return self.network().decide(predictions.prob)

    def out_of_fold(self) -> Predictions:
        """Return the predictions of a run's training photos, each by networks that were not trained on its person.

        Raises ResultError for a run that has none, UsageError for a file.
        """
        return read_run_oof(self._run("out-of-fold rows"))

    def evaluate(self) -> Evaluation:
        """Score the out-of-fold rows of a run; see `evaluate`."""
        return evaluate(self._run("a score").path)

    def network(self) -> PhotoModel:
        """Return what computes: the loaded networks. The first call loads them, and imports torch or onnxruntime."""
        if self._opened is None:
            with Reporter(quiet=not self.progress) as report:
                words = overrides(self.settings)
                self._opened = open_model(self.path, words, engine=self.engine, decide=self.rule, report=report)
        return self._opened

    def _run(self, what: str) -> RunDir:
        if not self.path.is_dir():
            raise UsageError(f"only a run folder has {what}", where=str(self.path), fix="load the run")
        return RunDir(self.path)


def load(
    path: Name,
    *,
    settings: Settings | None = None,
    engine: Engine | None = None,
    rule: bool = False,
    progress: bool = False,
) -> Model:
    """Load a run folder that `train` made, or a file that `maskcls export` made.

    settings  of `predict.*` and `device.*`, such as {"predict.views": "hflip"}.
    engine    what computes; None: torch for a run, onnxruntime for a file.
    rule      `Model.decide` uses the decision rule that `maskcls calibrate` fitted.

    Raises ResultError for a folder that is no run, or is damaged, UsageError for another engine.
    """
    if engine not in (None, *get_args(Engine)):
        raise UsageError("there is no such engine", got=str(engine), expected=" or ".join(get_args(Engine)))
    folder, words = answering_run(as_path(path, "path")), overrides(settings)
    if folder.is_dir():
        read_environment(RunDir(folder))
        return Model(folder, of_run(RunDir(folder).config).space, dict(settings or {}), engine, rule, progress)
    with Reporter(quiet=not progress) as report:
        opened = open_model(folder, words, engine=engine, decide=rule, report=report)
    return Model(folder, opened.space, dict(settings or {}), engine, rule, progress, opened)


def train(
    data: Name,
    run: Name,
    *,
    config: Name | Sequence[Name] = (),
    settings: Settings | None = None,
    folds: Sequence[int] | None = None,
    progress: bool = True,
) -> Model:
    """Train one network per fold and write a run folder, as `maskcls train` does; returns its model.

    data      a folder or a table, see data/README.md. A table and class folders say their tasks if no setting does.
    run       the folder to make.
    config    YAML files or shipped names, such as "multi"; of several, the later one wins.
    settings  by dotted key, above the files: {"optim.lr": 1e-4, "folds.k": 3}.
    folds     numbers of the folds to train; None: all.

    Raises BusyError when the run exists, ConfigError or DataError for wrong settings or data, UsageError for arguments
    of another type.
    """
    files = [as_path(name, "config") for name in as_list(config, "config")]
    whole = _numbers(folds, "folds", (int, np.integer), "a list of whole numbers, such as [0, 2]")
    photos, folder = as_path(data, "data"), RunDir(as_path(run, "run"))
    wanted = None if whole is None else ",".join(map(str, whole))
    cfg, origins, note = load_described(photos, files, overrides(settings))
    check_training(photos, cfg, wanted)
    with Reporter(quiet=not (progress and main_process())) as report:
        for line in [*([note] if note else []), *unused_in_training(cfg, origins)]:
            report.note(line)
        if main_process():
            refuse_existing(folder, photos)
        from maskcls.show.report.after_training import after_training, note_missing_report

        note_missing_report(cfg, report)
        from maskcls.commands.train import train as work

        summary = work(photos, cfg, folder, folds=wanted, report=report, origins=with_backbone(cfg, origins))
        if summary is not None:
            after_training(folder, report)
    return Model(folder.path, cfg.space, progress=progress)


def evaluate(what: Name, answers: Name | None = None) -> Evaluation:
    """Score predictions whose labels are known; `Evaluation.scores.joint.macro_f1` is the macro-F1.

    what     a run folder (its out-of-fold rows), a submission, or predictions (.npz).
    answers  CSV of the true labels: id, then ans or one column per task. Not for a run folder.

    Raises UsageError, DataError or ResultError when the files do not fit together.
    """
    from maskcls.commands.evaluate import evaluate as work

    return work(answering_run(as_path(what, "what")), None if answers is None else as_path(answers, "answers"))


def ensemble(
    members: Member | Sequence[Member],
    data: Name,
    output: Name,
    *,
    method: str = "mean",
    weights: Sequence[float] | None = None,
    rule: bool = False,
    settings: Settings | None = None,
    force: bool = False,
    progress: bool = False,
) -> EnsembleResult:
    """Combine runs and files of predictions into one submission, as `maskcls ensemble` does.

    members   one name, or a list: run folders, or "RUN,DATA" with a run's own copy of the photos, such as a cropped
              one; or files of predictions, as "FILE" or "FILE,OOF_FILE". In a list, a pair may be a tuple:
              [RUN, (RUN, DATA)]. A tuple of two names by itself is two members.
    data      the photos to predict.
    output    the submission to write.
    method    mean, geometric, vote, rank, greedy, bagged, convex, convex-tasks, tasks, stack or weights.
    weights   one per member, with method="weights".
    rule      answer by a decision rule, if it has a proven gain on the out-of-fold rows.
    settings  of `predict.*` and `device.*`, to predict again.
    force     replace the output; the old one is kept as .bak.

    Raises what the command raises, and UsageError for arguments of another type; all are MaskclsError.
    """
    given = [_named(member) for member in as_list(members, "members")]
    photos, written_to = as_path(data, "data"), as_path(output, "output")
    real = (int, float, np.integer, np.floating)
    shares = _numbers(weights, "weights", real, "a list of numbers, such as [0.6, 0.4]")
    with Reporter(quiet=not progress) as report:
        from maskcls.commands.ensemble import ensemble as work

        return work(
            given,
            photos,
            written_to,
            method=method,
            weights=None if shares is None else ",".join(map(repr, map(float, shares))),
            decide=rule,
            force=force,
            overrides=overrides(settings),
            report=report,
        )


def _named(member: Member) -> str:
    """Return a member of an ensemble as a command line names it; of a folder of stages, the one that answers.

    Raises UsageError for what names none, and for a pair whose names would be read as others.
    """
    if not isinstance(member, tuple):
        return with_answering_run(os.fspath(as_path(member, "members")), answering_run)
    _check_type(len(member) == 2, "members", member, "(RUN, DATA) or (FILE, OOF_FILE)")
    pair = [os.path.expanduser(as_path(part, "members")) for part in member]
    if files_of(text := ",".join(pair)) != pair:
        got, fix = " | ".join(files_of(text)), "rename one of them, without a comma"
        raise UsageError("the names of a pair have commas that divide them otherwise", where=text, got=got, fix=fix)
    return with_answering_run(text, answering_run)


def as_path(value: object, name: str) -> Path:
    """Return an argument as a path; UsageError, naming the argument, for what names no file or folder."""
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    _check_type(
        isinstance(text, str) and text != "" and "\0" not in text,
        name,
        value,
        "the name of a file or folder, as text or a Path",
    )
    return Path(str(text))


def as_list(value: object, name: str) -> list[Any]:
    """Return an argument that is one name or several as a list; UsageError, naming the argument, for anything else."""
    if isinstance(value, str | bytes | os.PathLike):
        return [value]
    if not isinstance(value, Iterable) or isinstance(value, Mapping):
        raise _other_kind(name, value, "one name, or a list of names")
    return list(value)


def _numbers(value: object, name: str, kinds: tuple[type, ...], expected: str) -> list[Any] | None:
    """Return a list of numbers of these kinds, or None; UsageError, naming the argument, for anything else."""
    if value is None:
        return None
    if not isinstance(value, Iterable) or isinstance(value, str | bytes):
        raise _other_kind(name, value, expected)
    numbers = list(value)
    _check_type(all(isinstance(one, kinds) for one in numbers), name, value, expected)
    return numbers


def _check_type(fits: bool, name: str, value: object, expected: str) -> None:
    """Raise UsageError, naming the argument, for a value that does not fit."""
    if not fits:
        raise _other_kind(name, value, expected)


def _other_kind(name: str, value: object, expected: str) -> UsageError:
    short = isinstance(value, str | bytes | int | float | tuple | None)
    got = repr(value) if short else type(value).__name__
    return UsageError("an argument is of another kind", where=name, got=got, expected=expected)


def overrides(settings: Settings | None) -> list[str]:
    """Return settings as the command line has them.

    UsageError for what is no mapping, for a value that is no text, number or list of them, and for a setting that is
    given twice.

    >>> overrides({"optim.lr": 1e-4, "model.backbone": "resnet18"})
    ['optim.lr=0.0001', 'model.backbone="resnet18"']
    """
    fits = isinstance(settings, Mapping | None)
    _check_type(fits, "settings", settings, "a mapping of dotted keys, such as {'optim.lr': 1e-4}")
    words = []
    for key, value in (settings or {}).items():
        try:
            words.append(f"{key}={written(value)}")
        except TypeError as error:
            expected = "text, a number, true, false or null, or lists and mappings of them"
            raise UsageError("a setting has another type", where=str(key), got=str(error), expected=expected) from None
    refuse_set_twice(words)
    return words


def is_several(photos: object) -> TypeGuard[Iterable[PhotoLike]]:
    """Tell whether this is a collection of photos; one photo is a file name, an array, or what is no collection."""
    return isinstance(photos, Iterable) and not isinstance(photos, str | bytes | os.PathLike | np.ndarray)


def refuse_other_objects(photos: Sequence[object]) -> None:
    """Raise DataError for an object that is no file name and no array of a photo; its place is named."""
    from maskcls.results.photo_model import check_photo

    for place, one in enumerate(photos):
        if isinstance(one, np.ndarray):
            check_photo(one, f"photo {place}")
        elif not isinstance(one, str | os.PathLike):
            raise DataError(
                "not a photo",
                where=f"photo {place}",
                got=type(one).__name__,
                expected="a file name, or an array uint8 of shape (height, width, 3), RGB",
                fix='of a picture of Pillow: numpy.asarray(picture.convert("RGB"))',
            )


def check_photo_ids(ids: Sequence[str]) -> None:
    """Raise UsageError without photos, or for a photo that is given twice."""
    if not ids:
        raise UsageError("no photo to predict", expected="files or arrays")
    if len(set(ids)) < len(ids):
        twice = sorted({name for name in ids if ids.count(name) > 1})
        raise UsageError("photos are given twice", offenders=twice, fix="name each photo once")


def readable_photos(photos: Sequence[Prepared | DataError], ids: Sequence[str]) -> list[Prepared]:
    """Return these photos; raises one DataError for all of them that cannot be read. ids: theirs, and of later ones."""
    if faults := [f"{name}: {one.brief}" for name, one in zip(ids, photos, strict=False) if isinstance(one, DataError)]:
        raise DataError("photos cannot be read", offenders=faults, fix="restore these files, or leave them out")
    return [one for one in photos if not isinstance(one, DataError)]
