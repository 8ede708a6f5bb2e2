"""Every command of the pages runs: page by page, from the first to the last, in a folder that begins empty.

What a page takes for granted, such as a finished run, is made beforehand by the commands of GIVEN. A text block after a
single command is its output: each of its lines must be printed, numbers apart.
"""

from __future__ import annotations

import csv
import os
import re
import runpy
import shlex
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from pages import GENERATED, code_blocks, fences, texts_with_commands, typed_commands
from project import BENCHMARKS_DIR, PROJECT_DIR

from maskcls import cli

# What a command needs and its page does not make -> the command that makes it. Runs are of the same data.
GIVEN = {
    "faces": "maskcls data make faces --people 30 --seed 0",
    "demo/faces": "maskcls data make demo/faces --people 30 --seed 0",
    "runs/multi": "maskcls train faces --config multi --run runs/multi",
    "runs/joint": "maskcls train faces --config joint --run runs/joint",
    "runs/a": "maskcls train faces --config tiny_cpu --run runs/a",
    "runs/b": "maskcls train faces --config tiny_cpu --run runs/b model.heads=joint",
    "submission.csv": "maskcls predict runs/multi --data faces -o submission.csv",
    "weights.safetensors": "",  # weights of the backbone of tiny_cpu
    "trunk.safetensors": "",
    "face.safetensors": "",  # of another backbone
    "cropped": "maskcls data crop faces -o cropped --fixed --margin 0.05 --aspect 1:1",
    "photos.csv": "",  # a table of faces
    "masks": "",  # folders named by class
    "digits": "",  # the same, in parts
    "photo.jpg": "",
    "photos": "",  # a folder of photos
}
# Words of a command -> what is typed for them.
VALUES = {"DATA": "faces", "model.weights=FILE": "model.weights=weights.safetensors"}
# Settings added to every training that does not have them: a training then takes seconds, on any machine.
QUICK = (
    *("train.epochs=2", "train.fold_jobs=1", "train.report=false", "device.threads=1", "device.precision=fp32"),
    *("device.memory_format=channels_last", "device.compile=off"),
)
TRAINING = ("train", "self-train", "tune")
# Settings added where a configuration is not tiny_cpu: others need pretrained weights, a GPU or hours.
SMALL = ("model.backbone=test_resnet", "transforms.size=[64, 48]", "train.batch_size=16", "model.pretrained=false")
CONFIGURED = (*TRAINING, "pretrain", "debug", "bench step", "data check", "data look")

LIMIT_S = 900  # of one command; on an idle machine the longest takes less than a minute

# Commands that are only read, not run -> why.
SERVER = "a server, which runs until it is stopped; tests/serve/ starts it"
CLUSTER = "needs a cluster; tests/jobs/test_farm.py runs on one where there is one"
TWO_MACHINES = (
    "torchrun --nnodes 2 --nproc_per_node 4 --rdzv_backend c10d --rdzv_id 1 --rdzv_endpoint 10.0.0.1:29400 --rdzv_conf"
    " is_host=1 --local_addr 10.0.0.1 -m -- maskcls train /shared/faces --config multi --run /shared/runs/a"
)
LEFT_OUT = {
    "maskcls serve runs/a": SERVER,
    "maskcls serve runs/a --host 0.0.0.0": SERVER,
    "maskcls train faces --config multi --run runs/slurm --on slurm:partition=gpu,gpus=1,cpus=8,time=4h": CLUSTER,
    "maskcls train faces --config multi --run runs/ray --on ray:auto,cpus=4,gpus=0.5": CLUSTER,
    "maskcls debug faces --config multi --minutes 10 --page debug.html": "trains for ten minutes",
    "maskcls data crop faces -o cropped --detector yunet.onnx --margin 0.05 --aspect 1:1": "needs a detector's file",
    "maskcls runs compare runs/without/stage2 runs/with/stage0": "compares what a machine reached within ten minutes",
    TWO_MACHINES: "waits for a second machine; benchmarks/two_hosts.sh",
}
HOURS = "trains whole recipes on 800 people: up to 70 minutes"
GENERATORS = "generators need 20 people of a rare class, and long trainings; tests/commands/synth/ runs the verbs"
LEFT_OUT_PAGES = {
    "benchmarks/README.md": HOURS,
    "benchmarks/honesty/normalisation.md": HOURS,
    "docs/synth.md": GENERATORS,
}


# Commands that may end with another code than 0.
OTHER_CODES = {
    "maskcls debug ": 9,  # a check failed, as some do on so few people
    "maskcls data check faces --run runs/multi --fail-on warning": 4,
}


def is_left_out(name: str, command: str) -> bool:
    return name in LEFT_OUT_PAGES or command in LEFT_OUT


def commands_to_run() -> dict[str, list[str]]:
    """Return the commands of each page that are run, in their order."""
    found = {name: typed_commands(text) for name, text in texts_with_commands().items() if name not in GENERATED}
    kept = {name: [one for one in commands if not is_left_out(name, one)] for name, commands in found.items()}
    return {name: commands for name, commands in kept.items() if commands}


def test_what_is_left_out_is_still_there() -> None:
    texts = texts_with_commands()
    everything = {command for text in texts.values() for command in typed_commands(text)}
    assert LEFT_OUT.keys() <= everything
    assert all(typed_commands(texts[name]) for name in LEFT_OUT_PAGES)
    assert all(len(reason) > 10 for reason in [*LEFT_OUT.values(), *LEFT_OUT_PAGES.values()])


def test_most_commands_are_run() -> None:
    found = commands_to_run()
    assert len(found) >= 10
    assert sum(map(len, found.values())) >= 120, {name: len(commands) for name, commands in found.items()}


# --- running them


def words_of_command(command: str, folder: Path) -> list[str]:
    """Return the words of a command as a shell passes them in a folder, with values for the words in capitals."""
    found = [expanded(VALUES.get(word, word), folder) for word in shlex.split(command)]
    words = [word for each in found for word in each]
    typed = " ".join(words[words.index("maskcls") + 1 :])
    given = {word.partition("=")[0] for word in words}
    small = "--config" in words and "tiny_cpu" not in words and typed.startswith(CONFIGURED)
    more = [*(SMALL if small else ()), *(QUICK if typed.startswith(TRAINING) else ())]
    return words + [word for word in more if word.partition("=")[0] not in given]


def expanded(word: str, folder: Path) -> list[str]:
    """Return a word as a shell expands it in a folder: a pattern becomes the files of that name."""
    return sorted(str(path.relative_to(folder)) for path in folder.glob(word)) if "*" in word else [word]


def needed(words: list[str]) -> Iterator[str]:
    """Yield the words that may name what a command reads: not what it writes."""
    makes = words[1:3] == ["data", "make"]
    written = {"-o", "--output", "--page", *(["--run"] if words[1:2] and words[1] in TRAINING else [])}
    for before, word in pairwise(words):
        if before not in written and not (makes and word == words[3]):
            yield word


def provide(words: list[str], folder: Path) -> None:
    """Make what a command needs and nothing before it made."""
    for word in needed(words):
        for name in GIVEN:
            named = word.partition("=")[2] or word
            if (named == name or named.startswith(name + "/")) and not (folder / name).exists():
                make(name, folder)


def make(name: str, folder: Path) -> None:
    """Make one of GIVEN in a folder, which is the current one."""
    if name.endswith(".safetensors"):
        import timm
        from safetensors.torch import save_file

        backbone = "mobilenetv1_100" if name == "face.safetensors" else "test_resnet"
        save_file(timm.create_model(backbone, num_classes=0).state_dict(), folder / name)
    elif name == "masks":
        provide(["", "faces"], folder)
        for photo in sorted((folder / "faces" / "train" / "images").rglob("*.jpg")):
            target = folder / name / MASKS.get(photo.stem, "wear") / f"{photo.parent.name}_{photo.name}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(photo, target)
    elif name == "digits":
        runpy.run_path(str(BENCHMARKS_DIR / "digits.py"))["make"](folder / name)
        for digit in (folder / name).glob("*/*"):
            for photo in sorted(digit.iterdir())[20:]:
                photo.unlink()
    elif name.startswith("photo"):
        provide(["", "faces"], folder)
        photos = folder / "faces" / "eval" / "images"
        if name == "photos.csv":
            write_table(folder / "faces" / "train", folder / name)
        elif name == "photos":
            shutil.copytree(photos, folder / name)
        else:
            shutil.copyfile(min(photos.iterdir()), folder / name)
    else:
        assert run(GIVEN[name], folder) == 0, f"{name} could not be made"


MASKS = {"normal": "normal", "incorrect_mask": "incorrect"}  # file stem -> class; the others are "wear"


def write_table(train: Path, table: Path) -> None:
    """Write a table of the photos of generated faces, with the columns of docs/own_data.md."""
    with (train / "train.csv").open() as people, table.open("w") as file:
        file.write("path,group,mask,gender,age\n")
        for one in csv.DictReader(people):
            for photo in sorted((train / "images" / one["path"]).iterdir()):
                path, mask = photo.relative_to(table.parent).as_posix(), MASKS.get(photo.stem, "wear")
                file.write(f"{path},{one['path']},{mask},{one['gender']},{one['age']}\n")


def run(command: str, folder: Path) -> int:
    """Run a command in a folder, which is the current one; returns its exit code."""
    words = words_of_command(command, folder)
    provide(words, folder)
    if words[0] == "torchrun":
        start = [sys.executable, "-m", "torch.distributed.run", *words[1:]]
        return subprocess.run(start, env=os.environ | {"PYTHONPATH": str(PROJECT_DIR)}, check=False).returncode
    with warnings.catch_warnings(), time_limit(LIMIT_S):
        warnings.simplefilter("ignore")  # the program's own users see no warning as an error
        return cli.run_app(words[1:])


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """End what runs longer, such as a server, with a TimeoutError, which the command line reports as a bug."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"runs for more than {seconds} s; if it should, add it to LEFT_OUT")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def outputs(text: str) -> dict[str, str]:
    """Return the output that a page shows, by command.

    >>> outputs("```\\nmaskcls a -o b  # c\\n```\\n\\n```text\\nb  3 rows\\n```\\n")
    {'maskcls a -o b': 'b  3 rows\\n'}
    """
    blocks = fences(text)
    found = {}
    for (language, block), (after, output) in pairwise(blocks):
        commands = typed_commands(f"```\n{block}```\n")
        if not language and after == "text" and commands:
            assert len(commands) == 1, f"several commands before one output: {commands}"
            assert typed_commands(text).count(commands[0]) == 1, f"typed twice: {commands[0]}"
            found[commands[0]] = output
    return found


def plain(text: str) -> str:
    """Return a text without its numbers and without the blanks that line them up."""
    return re.sub(r"\s+", " ", re.sub(r"[-+]?\d[\d.,]*", "0", text)).strip()


def lines_not_printed(shown: str, printed: str) -> list[str]:
    """Return the lines of an output on a page that were not printed; `…` at an end is for what was cut off."""
    have = plain(printed)
    return [line for line in shown.splitlines() if plain(line.strip().strip("…")) not in have]


def write_configurations(text: str, folder: Path) -> None:
    """Write the configurations of a page that begin with a comment of their file name."""
    for block in code_blocks(text, "yaml"):
        if found := re.match(r"# ([\w.]+\.yaml)", block):
            (folder / found[1]).write_text(block, encoding="utf8")


def test_a_wrong_output_is_seen() -> None:
    assert lines_not_printed("score 0.25 …\n…\n  fold 3  ok\n", "the score   0.5 of\nfold 1 ok") == []
    assert lines_not_printed("scores 0.25\n", "score 0.25") == ["scores 0.25"]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(commands_to_run()))
def test_the_commands_of_a_page_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    text, wrong = texts_with_commands()[name], []
    shown = outputs(text)
    write_configurations(text, tmp_path)
    for command in commands_to_run()[name]:
        provide(words_of_command(command, tmp_path), tmp_path)
        capfd.readouterr()
        code, printed = run(command, tmp_path), capfd.readouterr()
        output = shown.get(command, "")
        missing = lines_not_printed(output, printed.out + "\n" + printed.err)
        fine = code == 0 or any(command.startswith(one) and code == other for one, other in OTHER_CODES.items())
        if fine == output.startswith("error[") or missing:
            wrong.append(f"$ {command}\nexit code {code}, not printed: {missing}\n{printed.out}\n{printed.err}")
    assert not wrong, "\n\n".join(wrong)
