"""Memory of the commands that read photos, given four photos of nearly as many pixels as are decoded.

Compared  commands, and forms of files: four photos of 7000 x 7000 pixels each (147 MB as RGB).
Counted   MiB, the largest over the time of the command: resident memory of one process, and of all its processes
          together with shared pages counted once (PSS, read every 0.1 s).
Run       python benchmarks/big_photos.py RUN [--only predict --forms png jpg]
Read      A command that reads photos of any size should stay below 1,024 MiB in each process; the program without a
          photo is in the first row.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
from alternate import MASKCLS, environment
from PIL import Image

SIDE_PX = 7000
PHOTOS = 4
FORMS: dict[str, dict[str, object]] = {
    "png": {"compress_level": 1},
    "jpg": {"quality": 90},
}
POLL_S = 0.1
IN_PYTHON = """
import sys, numpy as np, maskcls
from maskcls.data.photos.images import read_image
from pathlib import Path
model = maskcls.load(sys.argv[1])
model.predict([read_image(Path(name)) for name in sys.argv[2:3]])
"""


def draw(folder: Path, form: str, side_px: int) -> Path:
    """Write the photos: one picture, four files."""
    folder.mkdir()
    coarse = np.random.default_rng(0).integers(0, 256, (side_px // 100, side_px // 100, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize((side_px, side_px))
    first = folder / f"0.{form}"
    picture.save(first, **FORMS[form])  # type: ignore[arg-type]
    for i in range(1, PHOTOS):
        shutil.copy(first, folder / f"{i}.{form}")
    return folder


def commands(run: Path, photos: Path, scratch: Path) -> dict[str, list[str]]:
    """Return the command lines to measure, by name; `photos` is a folder with the four files."""
    names = [str(path) for path in sorted(photos.iterdir())]
    table = scratch / f"{photos.name}.csv"
    table.write_text("path\n" + "".join(f"{name}\n" for name in os.listdir(photos)))
    classes = scratch / f"classes-{photos.name}"
    for i, name in enumerate(names * 2):
        place = classes / "ab"[i % 2] / f"{i}{Path(name).suffix}"
        place.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.link(name, place)
    out = iter(range(100))

    def new(suffix: str = ".csv") -> str:
        return str(scratch / f"{photos.name}-{next(out)}{suffix}")

    return {
        "predict, named": ["predict", str(run), *names, "-o", new()],
        "predict --data": ["predict", str(run), "--data", str(photos), "-o", new()],
        "predict --data, cache off": ["predict", str(run), "--data", str(photos), "data.cache=off", "-o", new()],
        "data check": ["data", "check", str(photos)],
        "data crop": ["data", "crop", str(photos), new("")],
        "data look": ["data", "look", str(photos), "-o", new(".html")],
        "explain": ["explain", str(run), names[0], "-o", new(".png")],
    }


def measured(words: list[str], env: dict[str, str]) -> tuple[float, float, int]:
    """Run a command; returns the MiB of its largest process, of all together, and its exit code."""
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(words, stdout=said, stderr=said, env=env)
        together, ended = [0.0], threading.Event()

        def watch() -> None:
            while not ended.wait(POLL_S):
                together.append(sum(map(pss_mib, [child.pid, *descendants(child.pid)])))

        watcher = threading.Thread(target=watch)
        watcher.start()
        _, status, usage = os.wait4(child.pid, 0)
        ended.set()
        watcher.join()
        if status:
            said.seek(0)
            print(said.read()[-600:].decode(errors="replace"), file=sys.stderr)
    return usage.ru_maxrss / 1024, max(together), os.waitstatus_to_exitcode(status)


def descendants(pid: int) -> list[int]:
    """Return the child processes of a process, and theirs."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            children = [int(word) for word in (task / "children").read_text().split()]
            found += [one for child in children for one in (child, *descendants(child))]
    return found


def pss_mib(pid: int) -> float:
    """Return the resident memory of a process in MiB, each page divided by the number of processes that share it."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run that maskcls train made")
    parser.add_argument("--only", default="", help="commands whose name contains this")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    parser.add_argument("--side", type=int, default=SIDE_PX, help="pixels per side")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        scratch = Path(made)
        env = environment(1, MASKCLS_CACHE=str(scratch / "cache"))
        for form in a.forms:
            photos = draw(scratch / form, form, a.side)
            for name, words in commands(a.run, photos, scratch).items():
                if a.only in name:
                    largest, together, code = measured([*MASKCLS, *words], env)
                    shown = f"{largest:6.0f} MiB, all processes {together:6.0f} MiB"
                    print(f"{form:5} {name:28} {shown}" + (f", exit {code}" if code else ""), flush=True)


if __name__ == "__main__":
    main()
