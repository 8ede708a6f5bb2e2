"""How time and memory grow from 10,000 to a million photos: tables, folds, predictions, submissions and scores.

    python benchmarks/scale.py [--photos 10000,100000,1000000] [--repeats 1] [--json FILE] [--folder /tmp]

Seven photos per person, in the contest's layout. The files are empty, because no stage opens a photo. They are in a
temporary folder that is deleted at the end (a million files need a million inodes). Their names are in the system's
cache when a stage reads them.

Each stage runs in its own process. Its time is that of the work, without imports and without making the input; its peak
is the largest memory of the process, including imports and input, without memory-mapped files. The exponent describes
the growth of time from one size to the next: 1.0 is linear, 2.0 quadratic; below 1, a fixed cost still dominates.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STATES = {
    **{f"mask{i}": "wear" for i in range(1, 6)},
    "incorrect_mask": "incorrect",
    "normal": "normal",
}

Work = Callable[[], object]


def people_for(photos: int) -> list[tuple[str, str, int]]:
    """Return folder name, gender and age of the people of so many photos; deterministic."""
    people = range(math.ceil(photos / len(STATES)))
    faces = [("female" if i * 7919 % 5 < 3 else "male", 18 + i * 104729 % 53) for i in people]
    return [(f"{i + 1:07d}_{gender}_Drawn_{age}", gender, age) for i, (gender, age) in zip(people, faces, strict=True)]


def write_layout(root: Path, photos: int) -> int:
    """Write train.csv, folders of empty photos, and table.csv with the same photos; returns their number."""
    images, people = root / "train" / "images", people_for(photos)
    images.mkdir(parents=True)
    with (root / "train" / "train.csv").open("w") as train, (root / "table.csv").open("w") as table:
        train.write("id,gender,race,age,path\n")
        table.write("path,group,mask,gender,age\n")
        for folder, gender, age in people:
            train.write(f"{folder[:7]},{gender},Drawn,{age},{folder}\n")
            os.mkdir(images / folder)
            for stem, state in STATES.items():
                os.close(os.open(f"{images}/{folder}/{stem}.jpg", os.O_CREAT | os.O_WRONLY))
                table.write(f"train/images/{folder}/{stem}.jpg,{folder},{state},{gender},{age}\n")
    return len(people) * len(STATES)


def ids_of(photos: int) -> list[str]:
    """Return the photos' ids in the manifest, in order of people."""
    return [f"{folder}/{stem}" for folder, _, _ in people_for(photos) for stem in STATES]


# ---- stages: each makes its input and returns a function to time ----------------------------------------------------


def contest(root: Path, photos: int) -> Work:
    """Read the contest's folders into a manifest and divide its people into five folds."""
    from maskcls.data.layouts.source import read_labelled
    from maskcls.data.rows import folds
    from maskcls.labels import CONTEST

    return lambda: folds.build(read_labelled(root, "contest", CONTEST), CONTEST, k=5, holdout=0.2, seed=0)


def table(root: Path, photos: int) -> Work:
    """Read a CSV table of the same photos into a manifest and divide its groups into five folds."""
    from maskcls.data.layouts.source import read_labelled
    from maskcls.data.rows import folds
    from maskcls.labels import CONTEST

    path = root / "table.csv"
    return lambda: folds.build(read_labelled(path, "table", CONTEST), CONTEST, k=5, holdout=0.2, seed=0)


def tables_write(root: Path, photos: int) -> Work:
    """Write the manifest and the fold table of a run, with their hashes."""
    from maskcls import files
    from maskcls.data.layouts.source import read_labelled
    from maskcls.data.rows import folds, manifest
    from maskcls.labels import CONTEST

    frame = read_labelled(root, "contest", CONTEST)
    dealt = folds.build(frame, CONTEST, k=5, holdout=0.2, seed=0)

    def work() -> None:
        files.commit(root / "manifest.csv", manifest.to_csv(frame))
        files.commit(root / "folds.csv", folds.to_csv(dealt))

    return work


def tables_read(root: Path, photos: int) -> Work:
    """Read both tables and check them, as `resume` and `predict` do; needs the stage before."""
    from maskcls.data.rows import folds, manifest
    from maskcls.labels import CONTEST

    return lambda: (manifest.from_csv(root / "manifest.csv", CONTEST), folds.from_csv(root / "folds.csv"))


def predictions_save(root: Path, photos: int) -> Work:
    """Check predictions of 18 classes and write their file."""
    import numpy as np

    from maskcls.labels import CONTEST
    from maskcls.results.predictions import Predictions

    prob_NJ = np.random.default_rng(0).dirichlet(np.ones(CONTEST.size), photos).astype(np.float32)
    ids = ids_of(photos)
    return lambda: Predictions(ids, prob_NJ, CONTEST).save(root / "oof.npz")  # type: ignore[arg-type]


def predictions_load(root: Path, photos: int) -> Work:
    """Read the file of predictions and reorder its rows; needs the stage before."""
    from maskcls.results.predictions import Predictions

    ids = ids_of(photos)[::-1]
    return lambda: Predictions.load(root / "oof.npz").align(ids)


def submission_write(root: Path, photos: int) -> Work:
    """Write a submission, read it again and compare every cell."""
    from maskcls.labels import CONTEST
    from maskcls.results.submissions.write import write_submission

    ids, (_, pred_N) = ids_of(photos), labels_of(photos)
    options: dict[str, Any] = {"header": ("ImageID", "ans"), "space": CONTEST, "lineage": {}, "force": True}
    return lambda: write_submission(root / "submission.csv", ids=ids, labels=pred_N, **options)


def evaluate(root: Path, photos: int) -> Work:
    """Read a submission and its answers in another order, join them by id and score them; needs the stage before."""
    from maskcls.results.scores.metrics import score
    from maskcls.runs.read_labelled import read_submission

    true_N, _ = labels_of(photos)
    rows = [f"{name},{label}\n" for name, label in zip(ids_of(photos), true_N.tolist(), strict=True)]
    (root / "answers.csv").write_text("ImageID,ans\n" + "".join(rows[::-1]))

    def work() -> None:
        labelled = read_submission(root / "submission.csv", root / "answers.csv")
        score(labelled.pred_N, labelled.truth, labelled.space)

    return work


def bootstrap(root: Path, photos: int) -> Work:
    """Score, with its intervals over people."""
    from maskcls.labels import CONTEST
    from maskcls.results.scores.intervals import macro_f1_intervals
    from maskcls.results.scores.metrics import score

    true_N, pred_N = labels_of(photos)
    person_N = [folder for folder, _, _ in people_for(photos) for _ in STATES]

    def work() -> None:
        score(pred_N, CONTEST.decode(true_N), CONTEST)
        macro_f1_intervals(true_N, pred_N, person_N, CONTEST.size)

    return work


def training(root: Path, photos: int) -> Work:
    """Sample, mix and augment an epoch of rows from a pack with 32 x 24 pixels per photo; without a network."""
    import numpy as np

    from maskcls import config
    from maskcls.data.dataset import Photos
    from maskcls.engine.step_plan import FoldRows, StepPlan
    from maskcls.labels import CONTEST
    from maskcls.training.experiment import view_spec

    words = ["transforms.size=[32, 24]", "mix.kind=cutmix", "sampler.draw=weighted", "train.batch_size=256"]
    cfg, _ = config.load(None, [*words, "train.epochs=1"])
    pack = np.memmap(root / "pack.u8", dtype=np.uint8, mode="w+", shape=(photos, 32, 24, 3))
    view = Photos(root, [], ids_of(photos), [view_spec(cfg)], seed=0, cached=[pack])
    true_N, _ = labels_of(photos)
    people_N, nobody = np.arange(photos) // len(STATES), np.zeros(0, dtype=np.int64)
    weight_N = np.ones(photos, dtype=np.float32)
    rows = FoldRows(view, np.arange(photos), nobody, CONTEST.decode(true_N), {}, people_N, weight_N)

    def work() -> None:
        for keys in StepPlan(rows, cfg).keys(0, processes=1, accumulate=1, process=0):
            view.__getitems__(keys)

    return work


def labels_of(photos: int) -> tuple[Any, Any]:
    """Return joint labels, and predictions that are correct for about three rows in four, int64 (N,) each."""
    import numpy as np

    rng = np.random.default_rng(0)
    true_N, other_N = rng.integers(18, size=(2, photos))
    return true_N, np.where(rng.random(photos) < 0.74, true_N, other_N)


STAGES: dict[str, Callable[[Path, int], Work]] = {
    stage.__name__: stage
    for stage in (
        contest,
        table,
        tables_write,
        tables_read,
        predictions_save,
        predictions_load,
        submission_write,
        evaluate,
        bootstrap,
        training,
    )
}

# ---- measuring ------------------------------------------------------------------------------------------------------


def peak_mib() -> float:
    """Return the largest memory of this process in MiB, without the memory-mapped files at the end.

    The system frees the pages of such files when needed. getrusage would include the parent's memory before the start.
    """
    lines = [line.split() for line in Path("/proc/self/status").read_text().splitlines()]
    kib = {line[0]: int(line[1]) for line in lines if line[0] in ("VmHWM:", "RssFile:")}
    return (kib["VmHWM:"] - kib["RssFile:"]) / 1024


def run_stage(name: str, root: Path, photos: int) -> dict[str, float]:
    """Run one stage in this process; returns seconds and CPU seconds of the work, and the peak memory in MiB."""
    work = STAGES[name](root, photos)
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mib": peak_mib(),
    }


def measure(name: str, root: Path, photos: int, repeats: int) -> dict[str, Any]:
    """Run one stage, each repeat in its own process; returns all seconds, the least CPU seconds, the largest peak."""
    command = [sys.executable, __file__, "--stage", name, "--folder", str(root), "--photos", str(photos)]
    runs = [json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout) for _ in range(repeats)]
    return {
        "seconds": [run["seconds"] for run in runs],
        "cpu_seconds": min(run["cpu_seconds"] for run in runs),
        "peak_mib": max(run["peak_mib"] for run in runs),
    }


def exponents(sizes: list[int], results: list[dict[str, Any]]) -> list[float]:
    """Return the growth of the median time from each size to the next, as an exponent of the size."""
    times = [statistics.median(result["seconds"]) for result in results]
    pairs = zip(zip(sizes, times, strict=True), zip(sizes[1:], times[1:], strict=True), strict=False)
    return [math.log(b_s / a_s) / math.log(b / a) for (a, a_s), (b, b_s) in pairs]


def cell(result: dict[str, Any]) -> str:
    """Return the median seconds, their range for several repeats, and the peak memory."""
    seconds = result["seconds"]
    spread = f" [{min(seconds):.2f}..{max(seconds):.2f}]" if len(seconds) > 1 else ""
    return f"{statistics.median(seconds):.2f} s{spread}, {result['peak_mib']:.0f} MiB"


def main() -> None:
    """Measure every stage at every size and print a table; or, as a child process, run one stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", default="10000,100000,1000000")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=None, help="parent of the temporary folder")
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.photos.split(",")]
    if arguments.stage:
        print(json.dumps(run_stage(arguments.stage, arguments.folder, sizes[0])))
        return
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in STAGES}
    counts = []
    for size in sizes:
        with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="maskcls-scale-") as folder:
            counts.append(write_layout(Path(folder), size))
            for name in STAGES:
                results[name].append(measure(name, Path(folder), counts[-1], arguments.repeats))
                print(f"{counts[-1]} photos, {name}: {cell(results[name][-1])}", file=sys.stderr, flush=True)
    growth = {name: exponents(counts, of_size) for name, of_size in results.items()}
    print("| stage | " + " | ".join(f"{count:,} photos" for count in counts) + " | exponents |")
    print("|" + "---|" * (len(counts) + 2))
    for name, of_size in results.items():
        print(f"| {name} | " + " | ".join(map(cell, of_size)) + f" | {', '.join(f'{e:.2f}' for e in growth[name])} |")
    if arguments.json:
        data = {"photos": counts, "people": [count // len(STATES) for count in counts], "stages": results}
        arguments.json.write_text(json.dumps({**data, "exponents": growth}, indent=1) + "\n")


if __name__ == "__main__":
    main()
