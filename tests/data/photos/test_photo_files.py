"""The list of suffixes, and recognising photos by their first bytes."""

import io
import os
from pathlib import Path

import pytest
from PIL import Image

from maskcls.data.photos.images import FORMATS
from maskcls.data.photos.photo_files import SUFFIXES, has_photo_suffix, kind_of_file, photo_kind


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_that_is_decoded_is_recognised(format: str) -> None:
    out = io.BytesIO()
    Image.new("RGB", (20, 20)).save(out, format)

    assert photo_kind(out.getvalue()[:16]) == format


def test_suffixes_are_those_pillow_knows_for_the_formats_and_no_others() -> None:
    Image.init()
    known = {suffix for suffix, format in Image.registered_extensions().items() if format in FORMATS}

    assert known - set(SUFFIXES) <= {".dib", ".apng"}  # a BMP without its header; an animation
    assert set(SUFFIXES) <= known


def test_names_in_any_case() -> None:
    assert has_photo_suffix("a.JPEG")
    assert not has_photo_suffix("a.jpg.txt")
    assert not has_photo_suffix("jpg")


def test_kind_of_file_takes_only_regular_files(tmp_path: Path) -> None:
    (tmp_path / "photo").write_bytes(b"\xff\xd8\xff\xe0")
    os.mkfifo(tmp_path / "pipe")

    assert kind_of_file(tmp_path / "photo") == "JPEG"
    assert kind_of_file(tmp_path / "pipe") is None
    assert kind_of_file(tmp_path / "gone") is None
    assert kind_of_file(tmp_path) is None
