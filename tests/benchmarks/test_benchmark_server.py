"""The benchmark of the server sends what it says, so that a status it did not expect is one of the server."""

from __future__ import annotations

import runpy

import pytest
from project import BENCHMARKS_DIR

from maskcls.serve.body import check_length
from maskcls.serve.limits import ServerLimits
from maskcls.serve.refusals import RefusedRequestError
from maskcls.serve.uploads import Upload, read_uploads

SERVER = runpy.run_path(str(BENCHMARKS_DIR / "server.py"))
FILES = [b"a", b"b", b"c", b"d"]


def test_the_shares_of_the_mix_are_whole() -> None:
    assert sum(share for share, _ in SERVER["MIX"].values()) == pytest.approx(1)


@pytest.mark.parametrize("kind", SERVER["MIX"])
def test_each_kind_of_request_is_what_its_status_says(kind: str) -> None:
    head, body, good = SERVER["request_bytes"](kind, FILES)
    lines = dict(line.split(": ", 1) for line in head.decode().strip().split("\r\n")[1:])
    status = SERVER["MIX"][kind][1]
    if status in (200, 422):
        uploads = read(lines, body)
        assert [one.data for one in uploads][:good] == FILES[:good]
        assert len(uploads) - good == ("broken" in kind)
        assert (good == 0) == (status == 422)
    else:
        with pytest.raises(RefusedRequestError) as refused:
            read(lines, body)
        assert refused.value.status == status


def read(lines: dict[str, str], body: bytes) -> list[Upload]:
    """Read a request as the server does."""
    limits = ServerLimits()
    check_length(lines["Content-Length"], limits)
    return read_uploads(lines["Content-Type"], body, limits.max_photos)
