"""What `maskcls debug` finds in eight broken set-ups and three healthy ones, on drawn faces.

    python benchmarks/debug.py OUT [--seeds 0 1 2] [--only NAME ...] [--full]

Each set-up is broken in one way, by its configuration, by its table, or by a fault put into the code while it is
examined. For every set-up and seed: the cause that was named first, whether it is the right one, and all failed checks.
Drawn faces and the table of results are written to OUT. --full also makes the checks that train where nothing failed
before; without it only where the others cannot tell. On two cores a set-up takes about 20 s, with --full 2 min.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
import torch
from torch import nn

from maskcls import config
from maskcls.commands.debug import debug
from maskcls.data.drawn.faces import make_faces
from maskcls.data.layouts.contest import read_train
from maskcls.data.layouts.source import image_root
from maskcls.engine import step
from maskcls.labels import CONTEST
from maskcls.nn import losses
from maskcls.results.diagnosis.finding import CHECKS, CheckName, first_cause
from maskcls.show.terminal.progress import Reporter

Row = dict[str, str]
ONE_CORE = ("device.threads=1", "device.precision=fp32", "device.memory_format=channels_last", "device.workers=0")
FROZEN = "optim.freeze_layers=5"  # all layers of test_resnet


@dataclass(frozen=True)
class SetUp:
    """A set-up: its cause as `debug` names it ("" if it is healthy), and how it is made.

    settings  over the configuration tiny_cpu; table: changes the rows of the table, and may write photos beside it.
    fault     a context in which the code has a fault; checks: those to make, where not the ones without training.
    """

    name: str
    cause: str
    settings: tuple[str, ...] = ()
    table: Callable[[list[Row], Path, np.random.Generator], list[Row]] | None = None
    fault: Callable[[], Any] = nullcontext
    people: int = 60
    checks: tuple[CheckName, ...] = ()


def shuffled_labels(rows: list[Row], _: Path, rng: np.random.Generator) -> list[Row]:
    """Give every photo the labels of another one."""
    order = rng.permutation(len(rows))
    return [row | {name: rows[i][name] for name in CONTEST.names} for row, i in zip(rows, order, strict=True)]


def two_names(rows: list[Row], _: Path, rng: np.random.Generator) -> list[Row]:
    """Divide the photos of each person between two names."""
    return [row | {"group": f"{row['group']}-{rng.integers(2)}"} for row in rows]


def copies(rows: list[Row], folder: Path, rng: np.random.Generator) -> list[Row]:
    """Add the photos of a quarter of the people again under another name: smaller, and compressed once more."""
    people = sorted({row["group"] for row in rows})
    again = set(rng.permutation(people)[: len(people) // 4].tolist())
    added = []
    for row in rows:
        if row["group"] in again:
            path = f"copies/{row['path'].replace('/', '-')}.jpg"
            (folder / "copies").mkdir(exist_ok=True)
            image = cv2.imread(str(folder / row["path"]))
            assert image is not None
            smaller = cv2.resize(image, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(folder / path), smaller, [cv2.IMWRITE_JPEG_QUALITY, 70])
            added.append(row | {"path": path, "group": f"again-{row['group']}"})
    return rows + added


def blank_photos(rows: list[Row], folder: Path, rng: np.random.Generator) -> list[Row]:
    """Replace every photo by a grey image of its own brightness."""
    (folder / "blank").mkdir(exist_ok=True)
    found = []
    for place, row in enumerate(rows):
        path = f"blank/{place}.png"
        cv2.imwrite(str(folder / path), np.full((64, 48, 3), 100 + place % 50, np.uint8))
        found.append(row | {"path": path})
    return found


def one_in_fifty(rows: list[Row], _: Path, rng: np.random.Generator) -> list[Row]:
    """Keep one photo of each person of 60 or more."""
    kept: dict[str, int] = {}
    for place in rng.permutation(len(rows)).tolist():
        if int(rows[place]["age"]) >= 60:
            kept[rows[place]["group"]] = place
    return [row for place, row in enumerate(rows) if int(row["age"]) < 60 or kept[row["group"]] == place]


@contextmanager
def flipped_gradient() -> Iterator[None]:
    """Minimise the negative of the loss that is reported."""
    balanced = step._balanced
    with patch.object(step, "_balanced", lambda *a: -balanced(*a)):
        yield


@contextmanager
def negative_loss() -> Iterator[None]:
    """Report and minimise the log likelihood in place of its negative."""
    right = losses.cross_entropy
    with patch.object(losses, "cross_entropy", lambda *a: -right(*a)):
        yield


@contextmanager
def dropout_stays() -> Iterator[None]:
    """Apply dropout in evaluation mode too."""

    def forward(self: nn.Dropout, given: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(given, self.p, training=True)

    with patch.object(nn.Dropout, "forward", forward):
        yield


SET_UPS = (
    SetUp("shuffled labels", "shuffled labels", table=shuffled_labels),
    SetUp("100 x learning rate", "learning rate too high", ("optim.lr=0.4",)),
    SetUp("loss sign, gradient only", "loss sign", fault=flipped_gradient),
    SetUp("loss sign, loss too", "loss sign", fault=negative_loss),
    SetUp("no normalisation, 0 to 1", "no normalisation", ("transforms.mean=[0,0,0]", "transforms.std=[1,1,1]")),
    SetUp(
        "no normalisation, 0 to 255",
        "no normalisation",
        ("transforms.mean=[0,0,0]", "transforms.std=[0.00392,0.00392,0.00392]"),
    ),
    SetUp("frozen backbone", "frozen backbone", (FROZEN,)),
    SetUp("leaking split, two names", "leaking split", table=two_names),
    SetUp("leaking split, copies", "leaking split", table=copies),
    SetUp("dead input", "dead input", table=blank_photos),
    SetUp("dropout left on", "dropout at evaluation", ("model.drop=0.3",), fault=dropout_stays),
    SetUp("a class of 1 in 50", "class without recall", table=one_in_fifty, people=120, checks=("rare classes",)),
    SetUp("healthy: tiny_cpu", ""),
    SetUp("healthy: joint head, smoothed labels", "", ("model.heads=joint", "loss.all=smooth(epsilon=0.1)")),
    SetUp(
        "healthy: ordinal age, focal loss, dropout, CutMix, sgd",
        "",
        (
            *("age.head=ordinal", "loss.all=focal(gamma=1)", "model.drop=0.3", "mix.kind=cutmix"),
            *("optim.name=sgd", "optim.lr=0.05", "transforms.preset=faces"),
        ),
        people=90,
    ),
)


def table_of(setup: SetUp, faces: Path, seed: int) -> Path:
    """Write the drawn faces as a table, changed as the set-up says."""
    frame, root = read_train(faces, CONTEST), image_root(faces, "contest")
    rows = []
    for one in frame.to_dict("records"):
        labels = {task.name: task.classes[int(one[task.name])] for task in CONTEST.tasks if not task.bins}
        rows.append({"path": one["path"], "group": one["person"], **labels, "age": str(one["age_value"])})
    if setup.table is not None:
        rows = setup.table(rows, root, np.random.default_rng(seed))
    path = root / f"{setup.name.replace(' ', '-').replace(',', '').replace(':', '')}.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def diagnose(setup: SetUp, faces: Path, seed: int, *, full: bool) -> dict[str, Any]:
    """Return what `debug` says about a set-up."""
    data = table_of(setup, faces, seed)
    words = ["data.format=table", f"seed={seed}", *ONE_CORE, *setup.settings]
    cfg, _ = config.load([Path("tiny_cpu")], words)
    quick: list[CheckName] = [name for name in CHECKS if not CHECKS[name].trains]
    wanted = list(setup.checks or (CHECKS if full else quick))
    with setup.fault(), Reporter(quiet=True) as report:
        (found,) = debug(data, cfg, checks=wanted, minutes=3, report=report)
        unclear = not (full or setup.checks) and any(one.verdict == "unknown" for one in found.findings)
        if unclear and first_cause(found.findings) is None:
            (found,) = debug(data, cfg, checks=["shuffled labels", "baselines"], minutes=3, report=report)
    first = first_cause(found.findings)
    named = first.cause if first else ""
    failed = [one.check for one in found.findings if one.verdict == "fail"]
    texts = {one.check: one.found for one in found.findings}
    return {
        "set-up": setup.name,
        "seed": seed,
        "named": named,
        "right": named == setup.cause,
        "failed": failed,
        "next": list(first.next) if first else [],
        **texts,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Examine all set-ups."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--full", action="store_true")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    chosen = [one for one in SET_UPS if not args.only or any(word in one.name for word in args.only)]
    right = 0
    with (args.out / "results.jsonl").open("a") as file:
        for seed in args.seeds:
            for setup in chosen:
                faces = args.out / f"faces-{setup.people}-{seed}"
                if not faces.exists():
                    make_faces(faces, people=setup.people, seed=seed, eval_people=2)
                row = diagnose(setup, faces, seed, full=args.full)
                right += row["right"]
                file.write(json.dumps(row) + "\n")
                file.flush()
                verdict = "right" if row["right"] else "WRONG"
                print(
                    f"{verdict}  seed {seed}  {setup.name}: {row['named'] or 'nothing'}; failed: {row['failed']}",
                    flush=True,
                )
    print(f"{right} of {len(chosen) * len(args.seeds)} right")


if __name__ == "__main__":
    main()
