"""Photos in the body of a request: a form with files (multipart), one image, or JSON with base64. All in memory."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, FormParser, parse_options_header

from maskcls.files import parse_json
from maskcls.serve.refusals import RefusedRequestError

KINDS = "multipart/form-data with files, image/* with one image, or application/json"
JSON_FORM = '{"photos": [{"name": "a.jpg", "data": "base64 of the file"}]}'


@dataclass(frozen=True)
class Upload:
    """One photo as it was sent. name: as the client gave it, else `photo` and its number."""

    name: str
    data: bytes


def read_uploads(content_type: str, body: bytes, max_photos: int) -> list[Upload]:
    """Return the photos of a body, at least one.

    Raises RefusedRequestError: 415 for another content type, 400 for a damaged body or no photo, 413 for more
    than `max_photos`.
    """
    kind, options = parse_options_header(content_type)
    if kind == b"multipart/form-data":
        found = _form(body, options.get(b"boundary", b""), max_photos)
    elif kind.startswith(b"image/"):
        found = [Upload("", body)]
    elif kind == b"application/json":
        found = _json(body, max_photos)
    else:
        raise RefusedRequestError(415, "the content type is not supported", got=content_type or "none", expected=KINDS)
    if not found:
        raise RefusedRequestError(400, "the request has no photo", expected="one or several photos")
    return [Upload(one.name or f"photo {place}", one.data) for place, one in enumerate(found, 1)]


def _form(body: bytes, boundary: bytes, max_photos: int) -> list[Upload]:
    if not boundary:
        raise RefusedRequestError(400, "the form has no boundary", expected=KINDS)
    found: list[Upload] = []
    ends: list[bool] = []

    def on_file(file: File) -> None:
        check_count(len(found) + 1, max_photos)
        name = (file.file_name or b"").decode(errors="replace")
        file.file_object.seek(0)
        found.append(Upload(name, file.file_object.read()))

    def on_field(field: Field) -> None:
        raise RefusedRequestError(400, "the form has a field that is no file", expected="files alone")

    try:
        # Without a limit of memory, the parser keeps every file there; the size of the body is limited already.
        parser = FormParser(
            "multipart/form-data",
            on_field,
            on_file,
            lambda: ends.append(True),
            boundary=boundary,
            config={"MAX_MEMORY_FILE_SIZE": math.inf, "UPLOAD_ERROR_ON_BAD_CTE": True},
        )
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise RefusedRequestError(400, "the form is damaged") from None
    if not ends:
        raise RefusedRequestError(400, "the form is not complete")
    return found


def _json(body: bytes, max_photos: int) -> list[Upload]:
    try:
        read: Any = parse_json(body)
    except (ValueError, RecursionError):
        raise RefusedRequestError(400, "the body is not JSON", expected=JSON_FORM) from None
    photos = read.get("photos") if isinstance(read, dict) and read.keys() == {"photos"} else None
    if not isinstance(photos, list):
        raise RefusedRequestError(400, "the JSON has another form", expected=JSON_FORM)
    check_count(len(photos), max_photos)
    return _photos(photos)


def _photos(photos: Sequence[Any]) -> list[Upload]:
    found = []
    for place, one in enumerate(photos):
        name, data = (one.get("name", ""), one.get("data")) if isinstance(one, dict) else ("", None)
        if not isinstance(name, str) or not isinstance(data, str) or not one.keys() <= {"name", "data"}:
            raise RefusedRequestError(
                400, "a photo of the JSON has another form", got=f"entry {place}", expected=JSON_FORM
            )
        try:
            content = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            raise RefusedRequestError(400, "the data of a photo is not base64", got=f"entry {place}") from None
        found.append(Upload(name.encode(errors="replace").decode(), content))  # JSON may have half a surrogate pair
    return found


def check_count(photos: int, max_photos: int) -> None:
    """Raise RefusedRequestError (413) for more photos than one request may have."""
    if photos > max_photos:
        raise RefusedRequestError(413, "too many photos in one request", expected=f"at most {max_photos}")
