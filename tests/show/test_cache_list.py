"""What `data cache list` prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskcls.data.photos.cache_folder import PackInfo
from maskcls.show.data.cache import CacheList, print_packs


@pytest.mark.parametrize("columns", ["20", "80"])
def test_a_path_is_printed_whole(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    root = "/data/" + "a long name of a folder/" * 8 + "photos"
    pack = PackInfo(Path("/cache/abc"), photos=3, bytes=4, size=(5, 6), root=root, made=7.0, used=8.0)
    print_packs(CacheList(Path("/cache"), (pack,), ()))
    assert sum(root in line for line in capsys.readouterr().out.splitlines()) == 1
