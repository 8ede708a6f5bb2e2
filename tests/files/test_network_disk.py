"""A network disk is recognised by the type of its file system, and `train` says once what to be careful about."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tiny import RECIPE

from maskcls import files
from maskcls.cli import run_app
from maskcls.files import network_disk
from maskcls.files.network_disk import NETWORK_TYPES, network_type, type_of

MOUNTS = """\
22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/root rw
40 22 0:35 / /home rw,nosuid shared:20 master:3 - nfs4 server:/home rw,vers=4.2
41 22 0:36 / /mnt/a\\040-\\040b rw - fuse.sshfs me@host: rw
42 22 0:37 / /mnt/vm rw - virtiofs share rw
"""


def test_the_type_is_that_of_the_device() -> None:
    found = {device: type_of(device, MOUNTS) for device in ("259:2", "0:35", "0:36", "0:37", "0:3", "9:9")}
    assert found == {
        "259:2": None,
        "0:35": "nfs4",
        "0:36": "fuse.sshfs",
        "0:37": None,
        "0:3": None,
        "9:9": None,
    }
    assert len(NETWORK_TYPES) == 24


def test_a_folder_that_does_not_exist_yet_is_on_the_disk_of_its_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, mounts = tmp_path.stat().st_dev, tmp_path / "mounts"
    monkeypatch.setattr(network_disk, "MOUNTS", mounts)
    assert network_type(tmp_path) is None  # a system without /proc
    mounts.write_text(f"1 1 {os.major(number)}:{os.minor(number)} / {tmp_path} rw - lustre a rw\n")
    assert network_type(tmp_path / "run/not/yet") == "lustre"


def test_train_warns_once(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(files, "network_type", lambda path: "nfs4" if path == tmp_path / "run" else None)
    words = ["train", str(drawn), "--run", str(tmp_path / "run"), "--dry-run", *RECIPE]
    assert run_app(words) == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if "network disk" in line]
    assert warnings == [
        f"warning: {tmp_path / 'run'} is on a network disk (nfs4): use the run on one machine at a time; "
        "see docs/several_machines.md"
    ]
