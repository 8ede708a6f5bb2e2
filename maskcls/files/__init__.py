"""Files: how they are written, read and hashed, and the names of outputs."""

from maskcls.files.atomic import TEMPORARY, commit, put_in_place, write_aside
from maskcls.files.digests import sha256
from maskcls.files.json_data import JSON_FILE, commit_json, json_bytes, none_for_nan, read_json, read_json_lines
from maskcls.files.output_names import (
    check_folder,
    check_outputs,
    check_page_name,
    check_picture_name,
    refuse_taken,
    sidecar_path,
)
from maskcls.files.reading import RUN_FILE, FileKind, check_file, file_sha256, opened, read_file, size_text

__all__ = [
    "JSON_FILE",
    "RUN_FILE",
    "TEMPORARY",
    "FileKind",
    "check_file",
    "check_folder",
    "check_outputs",
    "check_page_name",
    "check_picture_name",
    "commit",
    "commit_json",
    "file_sha256",
    "json_bytes",
    "none_for_nan",
    "opened",
    "put_in_place",
    "read_file",
    "read_json",
    "read_json_lines",
    "refuse_taken",
    "sha256",
    "sidecar_path",
    "size_text",
    "write_aside",
]
