"""Photos in the body of a request: forms, single images, JSON; all in memory."""

from __future__ import annotations

import base64
import json
import tempfile
from typing import Any

import pytest
from asgi_calls import BOUNDARY, FORM, form

from maskcls.serve.refusals import RefusedRequestError
from maskcls.serve.uploads import Upload, read_uploads

BASE64 = base64.b64encode(b"photo").decode()


def plain(**value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        (FORM, form(("a.jpg", b"one"), ("b.png", b"\r\n--two")), [("a.jpg", b"one"), ("b.png", b"\r\n--two")]),
        (FORM, form(("", b"one"), ("", b"two")), [("photo 1", b"one"), ("photo 2", b"two")]),
        (FORM, form(("얼굴 1.jpg", b"")), [("얼굴 1.jpg", b"")]),  # an empty file is the decoder's to refuse
        (f'multipart/form-data; boundary="{BOUNDARY}"', form(("a", b"one")), [("a", b"one")]),
        ("image/jpeg", b"photo", [("photo 1", b"photo")]),
        ("IMAGE/PNG; q=1", b"photo", [("photo 1", b"photo")]),
        ("application/json; charset=utf-8", plain(photos=[{"name": "a", "data": BASE64}]), [("a", b"photo")]),
        ("application/json", plain(photos=[{"name": "\ud800.jpg", "data": BASE64}]), [("?.jpg", b"photo")]),
        ("application/json", plain(photos=[{"data": BASE64}, {"data": ""}]), [("photo 1", b"photo"), ("photo 2", b"")]),
    ],
)
def test_every_kind_of_body_is_read(kind: str, body: bytes, expected: list[tuple[str, bytes]]) -> None:
    assert read_uploads(kind, body, 2) == [Upload(*one) for one in expected]


@pytest.mark.parametrize(
    ("kind", "body", "status", "words"),
    [
        ("", b"x", 415, "content type"),
        ("text/plain", b"x", 415, "content type"),
        ("application/x-www-form-urlencoded", b"photo=1", 415, "content type"),
        ("multipart/form-data", form(("a", b"x")), 400, "boundary"),
        (f"multipart/form-data; boundary={'x' * 300}", form(("a", b"x")), 400, "damaged"),
        (FORM, b"no form", 400, "damaged"),
        (FORM, form(("a", b"x"))[:-20], 400, "not complete"),
        (FORM, form(), 400, "no photo"),
        (FORM, form(("a", b"x"), fields=["why"]), 400, "no file"),
        (FORM, form(*[("a", b"x")] * 3), 413, "too many photos"),
        (FORM, form(("a", b"x")).replace(b"form-data;", b"form-data\r\nContent-Transfer-Encoding: x;"), 400, "damaged"),
        ("application/json", b"{", 400, "not JSON"),
        ("application/json", b"[" * 100_000, 400, "not JSON"),
        ("application/json", b"\xff", 400, "not JSON"),
        ("application/json", plain(photos=[], more=1), 400, "another form"),
        ("application/json", plain(photos={}), 400, "another form"),
        ("application/json", b"[]", 400, "another form"),
        ("application/json", plain(photos=[]), 400, "no photo"),
        ("application/json", plain(photos=[{"data": BASE64}] * 3), 413, "too many photos"),
        ("application/json", plain(photos=["x"]), 400, "another form"),
        ("application/json", plain(photos=[{"data": 1}]), 400, "another form"),
        ("application/json", plain(photos=[{"name": 1, "data": BASE64}]), 400, "another form"),
        ("application/json", plain(photos=[{"nam": "x", "data": BASE64}]), 400, "another form"),
        ("application/json", plain(photos=[{"data": "no base64!"}]), 400, "base64"),
        ("application/json", plain(photos=[{"data": "é"}]), 400, "base64"),
    ],
)
def test_every_other_body_is_refused(kind: str, body: bytes, status: int, words: str) -> None:
    with pytest.raises(RefusedRequestError, match=words) as refused:
        read_uploads(kind, body, 2)
    assert refused.value.status == status


def test_a_large_file_is_not_written_to_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        pytest.fail("a temporary file was made")

    for name in ("TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, fail)
    large = bytes(5_000_000)  # beyond the parser's own limit of 1 MiB
    assert read_uploads(FORM, form(("a", large)), 1) == [Upload("a", large)]
