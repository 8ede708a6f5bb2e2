"""A run on disk: the only module that knows the names of its files.

tests/test_run_names.py searches the package for these names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ASKED_TRACKERS = ("mlflow", "wandb")  # those that keep an identity; wandb's own folder is below it
REFIT = -1  # in the place of a fold's number: the network is trained on all rows
OWN_FOLDER = re.compile(r"fold\d+|refit|members|test")
REPEAT, STAGE = re.compile(r"repeat(\d+)"), re.compile(r"stage(\d+)")
LEFT_OUT = re.compile(r"(?:members/[^/]+/)?fold(\d+)/(?:best|last)/[^/]+")  # weights that did not train on one fold


@dataclass(frozen=True)
class WeightsDir:
    """A folder of saved weights: the tensors, and what is needed to rebuild the network around them.

    root  the run it is in; None: it is in no run.
    """

    path: Path
    root: Path | None = None

    @property
    def tensors(self) -> Path:
        """The tensors."""
        return self.path / "weights.safetensors"

    @property
    def meta(self) -> Path:
        """Architecture, label space, transforms, scores, and the hash of the tensors."""
        return self.path / "meta.json"


@dataclass(frozen=True)
class FoldDir:
    """The files of one trained network: one fold, or all rows.

    root  the run it is in; None: it is in no run.
    """

    path: Path
    root: Path | None = None

    @property
    def log(self) -> Path:
        """One JSON line per epoch."""
        return self.path / "log.jsonl"

    @property
    def first_batch(self) -> Path:
        """A picture of the first training images as the network gets them, with their labels."""
        return self.path / "first_batch.png"

    @property
    def best(self) -> WeightsDir:
        """The weights of the chosen epoch, written when all folds are trained; see train.select."""
        return WeightsDir(self.path / "best", self.root)

    @property
    def last(self) -> WeightsDir:
        """The weights of the last epoch."""
        return WeightsDir(self.path / "last", self.root)

    @property
    def candidates(self) -> Path:
        """Folder of the weights that `best` is chosen from; deleted when the fold is finished."""
        return self.path / "candidates"

    def candidate(self, epoch: int) -> WeightsDir:
        """Return the weights of one epoch."""
        return WeightsDir(self.candidates / str(epoch), self.root)

    @property
    def soup(self) -> WeightsDir:
        """The average of the weights of several epochs, one of the candidates."""
        return WeightsDir(self.candidates / "soup", self.root)

    def all_candidates(self) -> list[WeightsDir]:
        """Return the weights that `best` is chosen from, found on disk."""
        return [WeightsDir(path, self.root) for path in sorted(self.candidates.glob("*")) if path.is_dir()]

    def epoch_rows(self, epoch: int) -> Path:
        """Return the probabilities for the fold's validation rows after one epoch."""
        return self.path / "epochs" / f"{epoch}.npy"

    def all_epoch_rows(self) -> list[Path]:
        """Return the files of the rows of every epoch, found on disk."""
        return sorted(self.epoch_rows(0).parent.glob("*.npy"))

    @property
    def resume(self) -> Path:
        """Folder of what only a resumed training needs."""
        return self.path / "resume"

    @property
    def state(self) -> Path:
        """Everything needed to continue after the last finished epoch, one file so that it is one commit."""
        return self.resume / "state.safetensors"

    @property
    def start_heads(self) -> Path:
        """The fitted heads that the network starts with, for train.start_heads."""
        return self.resume / "start_heads.safetensors"

    @property
    def continued(self) -> FoldDir:
        """The network that was trained further from the best weights."""
        return FoldDir(self.path / "continued", self.root)

    @property
    def oof(self) -> Path:
        """Predictions for the fold's validation rows."""
        return self.path / "oof.npz"

    @property
    def plain_heads(self) -> Path:
        """The same with heads that were fitted without made-up examples, for runs of retrained heads."""
        return self.path / "plain_heads.npz"

    @property
    def balanced_heads(self) -> Path:
        """The same with heads of equal weight for every class, without made-up examples."""
        return self.path / "balanced_heads.npz"

    @property
    def frozen_heads(self) -> Path:
        """The same by heads that were fitted on the backbone as it was before the training, for train.baseline."""
        return self.path / "frozen_heads.npz"

    @property
    def summary(self) -> Path:
        """Scores of the best weights."""
        return self.path / "summary.json"

    @property
    def done(self) -> Path:
        """Present when the fold is finished; names the hash of each of its files, see runs/integrity/done_file.py."""
        return self.path / "DONE"


@dataclass(frozen=True)
class PretrainedTrunk:
    """The files of a backbone that was pretrained without labels; path: its tensors, in no run."""

    path: Path

    @property
    def about(self) -> Path:
        """Which people's photos it has seen, and how it was made."""
        return self.path.with_suffix(".json")

    @property
    def state(self) -> Path:
        """Everything needed to continue; deleted at the end."""
        return self.path.with_name(f"{self.path.stem}.state.safetensors")


@dataclass(frozen=True)
class TrackerDir:
    """The files of one tracker about one network, or about the run."""

    path: Path

    @property
    def identity(self) -> Path:
        """The name that the tracker has given, and how many epochs it has got where it cannot be asked."""
        return self.path / "log.json"

    @property
    def scalars(self) -> Path:
        """Numbers of the csv tracker, one row per epoch."""
        return self.path / "scalars.csv"

    @property
    def settings(self) -> Path:
        """Settings of the csv tracker: key, value."""
        return self.path / "settings.csv"

    @property
    def scores(self) -> Path:
        """Final scores of the csv tracker: name, value."""
        return self.path / "scores.csv"

    @property
    def files(self) -> Path:
        """Pictures and other files that the csv tracker points to: name, path."""
        return self.path / "files.csv"


@dataclass(frozen=True)
class JobDir:
    """The files of one job, see maskcls/jobs/; path: its folder, which holds a lock like that of a run."""

    path: Path

    @property
    def lock_file(self) -> Path:
        """The file that the job locks as long as it lives."""
        return RunDir(self.path).lock_file

    def log(self, attempt: int) -> Path:
        """Return what the job prints when it is tried for this time, counted from 1; made when its work begins."""
        return self.path / f"log-{attempt}.txt"

    @property
    def result(self) -> Path:
        """How the job ended; missing when it was killed."""
        return self.path / "result.json"


@dataclass(frozen=True)
class JobsDir:
    """The files of a command whose work is done by jobs; path: a folder that the command deletes at its end."""

    path: Path

    @property
    def queue(self) -> Path:
        """The jobs and the engine that runs them."""
        return self.path / "jobs.json"

    @property
    def request(self) -> Path:
        """What the jobs are to do that no run folder says yet: the arguments of the command."""
        return self.path / "request.json"

    @property
    def engine(self) -> Path:
        """Folder of the files of submitit."""
        return self.path / "submitit"

    @property
    def ended(self) -> Path:
        """Its presence says that the jobs are to end, and are not to be submitted again; see jobs/ending.py."""
        return self.path / "ended.txt"

    def slot(self, number: int) -> Path:
        """Return the lock of one of the jobs that may work at the same time."""
        return self.path / f".slot{number}.lock"

    def job(self, name: str) -> JobDir:
        """Return the folder of a job."""
        return JobDir(self.path / name)

    def all_jobs(self) -> list[JobDir]:
        """Return the folders of jobs, found on disk."""
        return [JobDir(path.parent) for path in sorted(self.path.glob(f"*/{RunDir(self.path).lock_file.name}"))]


@dataclass(frozen=True)
class RepeatsDir:
    """The files of a repeated cross-validation: its runs, and what they are together."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved configuration, with folds.repeats; its presence marks the folder."""
        return self.path / "repeats.yaml"

    @property
    def scores(self) -> Path:
        """The score of the mean of the repeats, and of each; see runs/repeats/repeat_scores.py."""
        return self.path / "repeats.json"

    @property
    def oof(self) -> Path:
        """The mean of the repeats' out-of-fold predictions, every row once."""
        return RunDir(self.path).oof

    def repeat(self, number: int) -> RunDir:
        """Return the run of one repeat, counted from 0."""
        return RunDir(self.path / f"repeat{number}")

    def all_repeats(self) -> list[RunDir]:
        """Return the runs of repeats, found on disk, in their order."""
        return _numbered(self.path, REPEAT)


@dataclass(frozen=True)
class StagesDir:
    """The files of a training with a time limit: its stages, which are runs of growing cost."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved configuration that the stages are made from; its presence marks the folder."""
        return self.path / "stages.yaml"

    @property
    def record(self) -> Path:
        """The time limits, and each stage's settings, forecast and time; see runs/stages/record.py."""
        return self.path / "stages.json"

    def stage(self, number: int) -> RunDir:
        """Return the run of one stage, counted from 0."""
        return RunDir(self.path / f"stage{number}")

    def all_stages(self) -> list[RunDir]:
        """Return the runs of stages, found on disk, in their order."""
        return _numbered(self.path, STAGE)


def _numbered(folder: Path, name: re.Pattern[str]) -> list[RunDir]:
    found = {int(match[1]): path for path in folder.glob("*") if (match := name.fullmatch(path.name))}
    return [RunDir(found[number]) for number in sorted(found)]


@dataclass(frozen=True)
class RunDir:
    """The files of one run."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def labels(self) -> Path:
        """The label space."""
        return self.path / "labels.json"

    @property
    def manifest(self) -> Path:
        """The training table."""
        return self.path / "manifest.csv"

    @property
    def folds(self) -> Path:
        """Row id, person and fold."""
        return self.path / "folds.csv"

    @property
    def photos(self) -> Path:
        """Size and digest of every photo's file, sealed people's too; see photo_digests.py."""
        return self.path / "photos.csv"

    @property
    def pseudo(self) -> Path:
        """A copy of the pseudo labels, for runs with data.pseudo."""
        return self.path / "pseudo.csv"

    @property
    def pseudo_origin(self) -> Path:
        """A copy of the file that says how the pseudo labels were made."""
        return self.path / "pseudo.json"

    @property
    def samples(self) -> Path:
        """A copy of the table of samples, for runs with data.synth."""
        return self.path / "samples.csv"

    @property
    def samples_origin(self) -> Path:
        """A copy of the file that says how the samples were made."""
        return self.path / "samples.json"

    @property
    def heads_origin(self) -> Path:
        """Where the trunks are from, for runs of retrained heads; see synth/embedded/heads_origin.py."""
        return self.path / "heads.json"

    @property
    def person_clustering(self) -> Path:
        """The photo-similarity model learned from the labelled photos, for runs with predict.groups=look."""
        return self.path / "looks.npz"

    @property
    def sealed(self) -> Path:
        """The rows of the sealed people, with their labels, for runs with folds.sealed."""
        return self.path / "sealed.csv"

    @property
    def unsealed(self) -> Path:
        """The score on the sealed people, written once by `maskcls unseal`."""
        return self.path / "unsealed.json"

    @property
    def env(self) -> Path:
        """Data folder, requested folds, hashes, plans, versions and machine; see runs/environment.py."""
        return self.path / "env.json"

    @property
    def times(self) -> Path:
        """How long the parts of each command took that trained it; see runs/records/times.py."""
        return self.path / "times.json"

    @property
    def oof(self) -> Path:
        """Out-of-fold predictions of the joint classes, every validation row once."""
        return self.path / "oof.npz"

    @property
    def summary(self) -> Path:
        """Scores per fold and pooled; its presence marks the run as finished."""
        return self.path / "summary.json"

    @property
    def lock_file(self) -> Path:
        """The file that `runs/locks/run_lock.py` locks; present as soon as a command has begun to write here."""
        return self.path / ".lock"

    @property
    def jobs(self) -> JobsDir:
        """Folder of the jobs that train the networks, while there are any."""
        return JobsDir(self.path / "jobs")

    @property
    def decision(self) -> Path:
        """Temperatures and decision rule, written by `maskcls calibrate`."""
        return self.path / "decision.json"

    @property
    def notes(self) -> Path:
        """Notes that a person added to the run."""
        return self.path / "notes.json"

    @property
    def notes_lock(self) -> Path:
        """A lock of the notes alone, so that notes can be added while the run is trained."""
        return self.path / ".notes.lock"

    @property
    def report(self) -> Path:
        """The page that `maskcls report` writes, and `train` at its end."""
        return self.path / "report" / "index.html"

    @property
    def onnx(self) -> Path:
        """The file that `maskcls export` writes where no other name is given."""
        return self.path / "export" / "model.onnx"

    @property
    def onnx_int8(self) -> Path:
        """The same with --int8."""
        return self.path / "export" / "model.int8.onnx"

    @property
    def torch_export(self) -> Path:
        """The same with --to torch-export."""
        return self.path / "export" / "model.pt2"

    @property
    def checkpoints(self) -> Path:
        """The same with --to safetensors: a folder."""
        return self.path / "export" / "checkpoints"

    @property
    def model_card(self) -> Path:
        """The same with --to model-card."""
        return self.path / "export" / "model-card.md"

    @property
    def choices(self) -> Path:
        """What was tried on the same rows: beside the run, for all runs of the folder; see runs/choices/register.py."""
        return self._beside() / "choices.json"

    @property
    def choices_lock(self) -> Path:
        """The lock of that file."""
        return self._beside() / ".choices.lock"

    def _beside(self) -> Path:
        """Return the folder that holds the run, or the repeats that it is one of."""
        parent = self.path.resolve().parent
        return parent.parent if RepeatsDir(parent).config.is_file() else parent

    @property
    def tracking(self) -> Path:
        """Folder of the trackers; see training/tracking/."""
        return self.path / "tracking"

    def tracker(self, name: str, place: str) -> TrackerDir:
        """Return a tracker's folder of a network, named by its folder in the run, or of the whole run."""
        return TrackerDir(self.tracking / name / place)

    @property
    def mlflow_store(self) -> Path:
        """The database of MLflow."""
        return self.tracking / "mlflow.db"

    @property
    def mlflow_files(self) -> Path:
        """Folder of the files that MLflow keeps."""
        return self.tracking / "mlflow-files"

    def tracker_identities(self) -> list[Path]:
        """Return the files in which trackers keep what they need to continue, found on disk."""
        found = [
            path for name in ASKED_TRACKERS for path in (self.tracking / name).rglob(self.tracker("", "").identity.name)
        ]
        return sorted(path for path in found if "wandb" not in path.relative_to(self.tracking).parts[1:])

    def confusion(self, name: str) -> Path:
        """Return the picture of a confusion matrix, made for trackers."""
        return self.tracking / f"confusion-{name}.png"

    def for_people(self) -> tuple[Path, ...]:
        """Folders of what is made for people and other programs; a command reads `tracker_identities` alone of it."""
        return self.tracking, self.report.parent, self.onnx.parent

    def own_folders(self) -> list[Path]:
        """Return the folders of its networks and of its predictions, found on disk."""
        return sorted(path for path in self.path.glob("*") if OWN_FOLDER.fullmatch(path.name))

    def place(self, path: Path) -> str:
        """Return the path of a file in the run's folder, with slashes."""
        return path.relative_to(self.path).as_posix()

    def best_weights(self) -> list[Path]:
        """Return the best tensors of every network in the folder, found on disk."""
        return list(self.path.rglob("best/weights.safetensors"))

    def fold_left_out(self, weights: Path) -> int | None:
        """Return the fold a file of this run's weights did not train on; None when it trained on all rows."""
        found = LEFT_OUT.fullmatch(weights.resolve().relative_to(self.path.resolve()).as_posix())
        return int(found[1]) if found else None

    def fold(self, k: int, member: str = "") -> FoldDir:
        """Return the folder of fold k, or REFIT; `member` names the network where a fold has several."""
        folder = self.path / "members" / member if member else self.path
        return FoldDir(folder / ("refit" if k == REFIT else f"fold{k}"), self.path)

    def all_networks(self) -> list[FoldDir]:
        """Return the folders of networks, found on disk."""
        tops = [self.path, *sorted(self.path.glob("members/*"))]
        paths = [path for top in tops for name in ("fold*", "refit") for path in sorted(top.glob(name))]
        found = [FoldDir(path, self.path) for path in paths if path.is_dir()]
        return [*found, *(folder.continued for folder in found if folder.continued.path.is_dir())]

    def test(self, data: str, views: str, networks: str, groups: str, adapt: str) -> Path:
        """Return the file of predictions for another data set; what is not default is named, but for the views."""
        others = "".join("" if value in ("folds", "none") else f"-{value}" for value in (networks, groups, adapt))
        return self.path / "test" / f"{data}-{views}{others}.npz"

    def all_tests(self) -> list[Path]:
        """Return the files of predictions for other data sets, found on disk."""
        return sorted(self.path.glob("test/*.npz"))


@dataclass(frozen=True)
class SynthFoldDir:
    """The files of one trained generator: of one fold's training rows, or of all rows.

    root  the generator folder it is in.
    """

    path: Path
    root: Path | None = None

    @property
    def log(self) -> Path:
        """One JSON line every few steps."""
        return self.path / "log.jsonl"

    @property
    def state(self) -> Path:
        """Everything needed to continue after a step, one file so that it is one commit."""
        return self.path / "resume" / "state.safetensors"

    @property
    def generator(self) -> WeightsDir:
        """The weights that make samples, as of the last save."""
        return WeightsDir(self.path / "generator", self.root)

    @property
    def critic(self) -> WeightsDir:
        """The weights of the discriminator or critic, as of the last save."""
        return WeightsDir(self.path / "critic", self.root)

    def sheet(self, step: int) -> Path:
        """Return the picture of samples after so many steps."""
        return self.path / "sheets" / f"{step}.png"

    def all_sheets(self) -> list[Path]:
        """Return the pictures of samples in the order of their steps, found on disk."""
        return sorted(self.sheet(0).parent.glob("*.png"), key=lambda path: int(path.stem))

    @property
    def done(self) -> Path:
        """Present when the generator is trained to its last step; names the hash of its weights."""
        return self.path / "DONE"


@dataclass(frozen=True)
class SynthDir:
    """The files of a generator folder, which `maskcls synth train` makes: an experiment, and one generator per fold."""

    path: Path

    @property
    def experiment(self) -> RunDir:
        """The same folder as the one of an experiment: configuration, labels, rows, folds, environment, lock."""
        return RunDir(self.path)

    @property
    def facts(self) -> Path:
        """Kind of the generators, classes, people of the rare class per fold, hash of the folds."""
        return self.path / "synth.json"

    def fold(self, k: int) -> SynthFoldDir:
        """Return the folder of the generator of fold k, or of REFIT."""
        return SynthFoldDir(self.path / ("refit" if k == REFIT else f"fold{k}"), self.path)


@dataclass(frozen=True)
class StudyDir:
    """A search of settings: what it is about, its trials, which are runs, and its winner."""

    path: Path

    @property
    def facts(self) -> Path:
        """What the search is about: data, space, sampler, pruning, seed, storage; written once, at the start."""
        return self.path / "study.json"

    @property
    def base(self) -> Path:
        """The resolved configuration that the trials change."""
        return self.path / "base.yaml"

    @property
    def database(self) -> Path:
        """The trials, where they are kept in a file of SQLite."""
        return self.path / "study.db"

    @property
    def lock_file(self) -> Path:
        """Held while a worker takes a trial, and while files of the study are written."""
        return self.path / ".study.lock"

    @property
    def workers(self) -> Path:
        """Folder of one file per worker, which holds its lock as long as it lives."""
        return self.path / "workers"

    @property
    def table(self) -> Path:
        """One row per trial: state, score, seconds, settings."""
        return self.path / "trials.csv"

    @property
    def result(self) -> Path:
        """The winner, its score and how that was computed; written when the search ends."""
        return self.path / "result.json"

    @property
    def winner(self) -> Path:
        """The configuration of the best trial, for `maskcls train --config`."""
        return self.path / "best.yaml"

    @property
    def report(self) -> Path:
        """The page about the search."""
        return self.path / "report" / "index.html"

    def trial(self, name: str) -> RunDir:
        """Return the run of a trial, by the name of its folder."""
        return RunDir(self.path / "trials" / name)

    def all_trials(self) -> list[RunDir]:
        """Return the runs of trials, found on disk."""
        return [RunDir(path) for path in sorted(self.trial("").path.glob("*"))]
