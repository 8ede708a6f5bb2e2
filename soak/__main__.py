"""Run the soak, or one part of it: `python -m soak`, `python -m soak mutants --only table`."""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path
from types import ModuleType

SHOWN = 5  # failures of each row of the table
PARTS = ("guards", "boundaries", "kills", "flips", "mutants", "lines")


def main() -> int:
    """Run the parts, print one table, and return 1 when anything failed."""
    asked = _arguments()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ |= {"NO_ALBUMENTATIONS_UPDATE": "1", "HF_HUB_OFFLINE": "1"}
    sys.path.insert(0, os.getcwd())
    from soak import forks
    from soak.plan import Plan, cores
    from soak.tally import table
    from soak.world import make_world

    plan = Plan(asked.share, asked.seed, asked.jobs or cores(), asked.only, asked.case)
    began = time.monotonic()
    tallies = []
    work = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        modules = [importlib.import_module(f"soak.{name}") for name in asked.parts or PARTS]
        _import_package()
        forks.rest()
        world = make_world(work / "world") if any(_needs_world(one) for one in modules) else work
        print(
            f"inputs: {time.monotonic() - began:.0f} s; share {plan.share}, seed {plan.seed}, {plan.jobs} jobs",
            flush=True,
        )
        for module in modules:
            started = time.monotonic()
            found = module.run(plan, world, work)
            tallies += found
            failures = [failure for one in found for failure in one.failures]
            name = module.__name__.removeprefix("soak.")
            cases = sum(one.count for one in found)
            print(f"{name}: {cases:,} cases, {len(failures)} failures, {time.monotonic() - started:.0f} s", flush=True)
            for failure in [failure for one in found for failure in one.failures[:SHOWN]]:
                print(f"  {failure}", flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"\n{table(tallies, time.monotonic() - began)}")
    return int(any(one.failures for one in tallies))


def _needs_world(module: ModuleType) -> bool:
    return getattr(module, "NEEDS_WORLD", True)


def _import_package() -> None:
    """Import every module of maskcls, so that no forked child has to."""
    import pkgutil

    import maskcls

    for one in pkgutil.walk_packages(maskcls.__path__, "maskcls."):
        if not one.name.endswith("__main__"):
            importlib.import_module(one.name)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--share", type=float, default=1.0, help="part of the full counts, above 0 and at most 1")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=0, help="cases at the same time; default: one per core")
    parser.add_argument("--only", default="", help="one reader, command or guard by its name")
    parser.add_argument("--case", type=int, help="repeat this case alone; with --only")
    asked = parser.parse_args()
    if unknown := sorted({*asked.parts} - {*PARTS}):  # not by `choices`, which refuse an empty list in Python 3.11
        parser.error(f"no such part: {', '.join(unknown)}")
    return asked


if __name__ == "__main__":
    try:
        code = main()
    except Exception:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # libraries complain at an ordinary exit about objects that forks.rest() keeps
