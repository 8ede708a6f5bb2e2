"""The digest of the code: of the names and contents of the Python files, and of nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path

from project import PROJECT_DIR

from maskcls.files.source_code import PACKAGE, code_sha256, tree_sha256


def test_every_file_counts_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c.py").write_text("1")
    (tmp_path / "a.py").write_text("2")
    (tmp_path / "a.pyc").write_text("compiled")
    text = b"".join(name + b"\0" + hashlib.sha256(data).digest() for name, data in ((b"a.py", b"2"), (b"b/c.py", b"1")))
    before = tree_sha256(tmp_path)
    assert before == hashlib.sha256(text).hexdigest()
    (tmp_path / "a.py").rename(tmp_path / "z.py")
    assert tree_sha256(tmp_path) != before


def test_it_is_of_this_package() -> None:
    assert PACKAGE == PROJECT_DIR / "maskcls"
    assert len(code_sha256()) == 64
