"""Does `maskcls data check` find planted faults, and nothing else? Near duplicates: share found, false pairs.

Usage: python benchmarks/data_faults.py [--people 60] [--seeds 4] [--faces DIR [--profiles 200]]

Without --faces: drawn faces. One fault of each kind is planted and looked for, and the clean set is checked. Then, for
each seed, a photo of every third person is replaced by a copy of another person's photo: encoded again, mirrored,
brightened or cropped, as in `maskcls/data/duplicates/made_copies.py`, but with other draws than the check itself makes.
With --faces, a contest folder, only the latter, with some of its people; their photos are copied to a temporary folder.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from maskcls import config
from maskcls.commands.data.check import check
from maskcls.data.drawn.faces import make_faces
from maskcls.data.duplicates.made_copies import KINDS, made_copies
from maskcls.data.duplicates.threshold import exact_interval
from maskcls.data.layouts.contest import read_train
from maskcls.data.photos.images import read_image
from maskcls.labels import CONTEST
from maskcls.show.data.check import DataCheck
from maskcls.show.terminal.progress import Reporter

SHARE = 3  # a photo of every third person becomes a copy
BENIGN = {"few-people", "shared-id"}  # findings about a small or a real set that are right


def checked(root: Path) -> DataCheck:
    """Return what `data check` finds with the default settings."""
    cfg, _ = config.load(None, [])
    with Reporter(quiet=True) as report:
        return check(root, cfg, report)


def found_kinds(found: DataCheck) -> dict[str, list[tuple[str, ...]]]:
    """Return the photos of each case, by kind."""
    return {one.kind: [item.paths for item in one.items] for one in found.findings}


def save(image: np.ndarray, path: Path) -> None:
    """Write a photo as JPEG or PNG by its ending; JPEG with quality 95, so that it is nearly unchanged."""
    Image.fromarray(image).save(path, quality=95)


def plant_faults(root: Path) -> dict[str, set[str]]:
    """Plant one fault of each kind; returns the photos by the kind of finding that must name them."""
    frame = read_train(root, CONTEST)
    people = frame["person"].unique().tolist()
    own = {
        person: dict(zip(rows["id"].str.rpartition("/")[2], rows["path"], strict=True))
        for person, rows in frame.groupby("person")
    }
    photo = {person: {stem: root / path for stem, path in stems.items()} for person, stems in own.items()}
    eval_paths = sorted((root / "eval" / "images").iterdir())
    planted: dict[str, set[str]] = {}

    def note(kind: str, *paths: Path) -> None:
        planted.setdefault(kind, set()).update(str(path.relative_to(root)) for path in paths)

    one = photo[people[0]]
    one["mask1"].write_bytes(one["mask1"].read_bytes()[: one["mask1"].stat().st_size // 2])
    one["mask2"].write_bytes(b"")
    note("unreadable", one["mask1"], one["mask2"])
    one = photo[people[1]]
    save(np.full((256, 192, 3), 128, np.uint8), one["mask1"])
    note("blank", one["mask1"])
    save((read_image(one["mask2"]) * 0.15).astype(np.uint8), one["mask2"])
    note("dark", one["mask2"])
    save(cv2.GaussianBlur(read_image(one["mask3"]), (0, 0), 3), one["mask3"])
    note("blurred", one["mask3"])
    save(read_image(one["mask4"])[:, 60:130], one["mask4"])
    note("odd-size", one["mask4"])
    one, other = photo[people[2]], photo[people[3]]
    shutil.copy(one["normal"], one["incorrect_mask"])
    note("labels", one["normal"], one["incorrect_mask"])
    shutil.copy(one["mask1"], one["mask2"])
    note("repeated", one["mask1"], one["mask2"])
    shutil.copy(one["mask3"], eval_paths[0])
    note("eval", one["mask3"], eval_paths[0])
    copies = dict(made_copies(read_image(other["mask1"]), np.random.default_rng(5)))
    save(copies["mirrored"], other["mask2"])
    note("near", other["mask1"], other["mask2"])
    save(dict(made_copies(read_image(other["mask3"]), np.random.default_rng(8)))["cropped"], eval_paths[1])
    note("near-eval", other["mask3"], eval_paths[1])
    save(next(made_copies(read_image(other["normal"]), np.random.default_rng(6)))[1], other["incorrect_mask"])
    note("near-labels", other["normal"], other["incorrect_mask"])
    return planted


def plant_across(root: Path) -> dict[str, set[str]]:
    """Plant equal and nearly equal photos of two people of one gender and age, in one fold and in two."""
    from maskcls.training.data_check.folds import configured_folds

    frame = read_train(root, CONTEST)
    frame["fold"] = configured_folds(frame, config.load(None, [])[0])[0]
    first = frame[frame["id"].str.endswith("/mask5")].reset_index(drop=True).iloc[6:]
    planted: dict[str, set[str]] = {}
    used: set[str] = set()
    for same_fold, kinds in ((False, ("folds", "near-folds")), (True, ("people", "near-people"))):
        for kind in kinds:
            a, b = next(
                (a, b)
                for _, a in first.iterrows()
                for _, b in first.iterrows()
                if a["person"] < b["person"]
                and (a["gender"], a["age"]) == (b["gender"], b["age"])
                and (a["fold"] == b["fold"]) == same_fold
                and not used & {a["person"], b["person"]}
            )
            used |= {a["person"], b["person"]}
            if kind.startswith("near"):
                copies = dict(made_copies(read_image(root / a["path"]), np.random.default_rng(7)))
                save(copies["brightened" if same_fold else "mirrored"], root / b["path"])
            else:
                shutil.copy(root / a["path"], root / b["path"])
            planted[kind] = {a["path"], b["path"]}
    return planted


def replace_by_copies(root: Path, seed: int) -> dict[frozenset[str], str]:
    """Replace a photo of every third person by a copy of one of another person; returns {the two paths: kind of copy}.

    Nobody takes part twice: else two people would share a third one's face, and a right finding would count as false.
    """
    frame = read_train(root, CONTEST)
    rng = np.random.default_rng(1000 + seed)
    people = rng.permutation(frame["person"].unique())
    paths = {person: rows["path"].tolist() for person, rows in frame.groupby("person")}
    planted: dict[frozenset[str], str] = {}
    for i in range(len(people) // SHARE):
        source, target = (str(rng.choice(paths[people[2 * i + j]])) for j in (0, 1))
        kind = KINDS[i % len(KINDS)]
        save(dict(made_copies(read_image(root / source), rng))[kind], root / target)
        planted[frozenset((source, target))] = kind
    return planted


def report_faults(people: int) -> None:
    """Print what is found on clean drawn faces, and on the same with one fault of each kind."""
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(3):
            clean = Path(folder) / f"clean{seed}"
            make_faces(clean, people=people, seed=seed)
            kinds = {kind: len(cases) for kind, cases in found_kinds(checked(clean)).items() if kind not in BENIGN}
            print(f"clean, seed {seed}: {kinds or 'nothing found'}")
        root = Path(folder) / "planted"
        make_faces(root, people=people, seed=0)
        planted = plant_faults(root) | plant_across(root)
        found = found_kinds(checked(root))
        for kind, paths in planted.items():
            named = {path for case in found.get(kind, []) for path in case}
            print(f"planted {kind}: {'found' if paths <= named else 'MISSED'}, {len(named - paths)} other photos named")
        invented = {kind: cases for kind, cases in found.items() if kind not in planted.keys() | BENIGN}
        print(f"not planted: {invented or 'nothing'}")


def report_copies(source: Path | None, people: int, seeds: int, profiles: int) -> None:
    """Print the share of planted copies that are found, by kind, and the pairs of two people that are no copies."""
    hits, all_, false, pairs = Counter[str](), Counter[str](), 0, 0
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "faces"
            if source is None:
                make_faces(root, people=people, seed=seed, eval_people=1)
            else:
                copy_profiles(source, root, profiles, seed)
            planted = replace_by_copies(root, seed)
            near = checked(root)
            paths = near.frames["train"]["path"].tolist()
            person = near.frames["train"]["person"].tolist()
            found = {
                frozenset((paths[one.first], paths[one.second]))
                for one in near.near.pairs
                if max(one.first, one.second) < len(paths) and person[one.first] != person[one.second]
            }
            for pair, kind in planted.items():
                all_[kind] += 1
                hits[kind] += pair in found
            across = near.near.across
            assert across is not None
            false += len(found - planted.keys())
            pairs += across.pairs
            share = across.recall
            print(
                f"seed {seed}: threshold {across.score:.3f}, stated recall {share[0]:.3f} "
                f"[{share[1]:.3f}..{share[2]:.3f}], "
                f"stated false pairs {across.false_pairs}, not planted: {len(found - planted.keys())}",
                flush=True,
            )
    for kind in KINDS:
        low, high = exact_interval(hits[kind], all_[kind])
        print(f"{kind}: {hits[kind]} of {all_[kind]} found, {hits[kind] / all_[kind]:.4f} [{low:.4f}..{high:.4f}]")
    total, of = sum(hits.values()), sum(all_.values())
    low, high = exact_interval(total, of)
    print(f"all: {total} of {of}, {total / of:.4f} [{low:.4f}..{high:.4f}]")
    print(f"pairs of two people that are not planted: {false} of {pairs:,}, {1e5 * false / pairs:.3g} per 100,000")


def copy_profiles(source: Path, root: Path, profiles: int, seed: int) -> None:
    """Copy some profiles of a contest folder, drawn by the seed, and no eval photos."""
    table = pd.read_csv(source / "train" / "train.csv", dtype=str)
    chosen = table.sample(min(profiles, len(table)), random_state=seed)
    (root / "train" / "images").mkdir(parents=True)
    chosen.to_csv(root / "train" / "train.csv", index=False)
    for path in chosen["path"]:
        shutil.copytree(source / "train" / "images" / path, root / "train" / "images" / path)


def main() -> None:
    """Print one line per result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--faces", type=Path)
    parser.add_argument("--profiles", type=int, default=200)
    given = parser.parse_args()
    if given.faces is None:
        report_faults(given.people)
    report_copies(given.faces, given.people, given.seeds, given.profiles)


if __name__ == "__main__":
    main()
