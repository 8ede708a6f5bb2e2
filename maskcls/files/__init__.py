"""Files: how they are written, read and hashed, and the names of outputs."""

from maskcls.files.atomic import TEMPORARY, commit, put_in_place, write_aside
from maskcls.files.digests import file_sha256, sha256
from maskcls.files.json_data import commit_json, json_bytes, none_for_nan, read_json
from maskcls.files.network_disk import network_type
from maskcls.files.output_names import (
    check_outputs,
    check_page_name,
    check_picture_name,
    refuse_taken,
    sidecar_path,
)

__all__ = [
    "TEMPORARY",
    "check_outputs",
    "check_page_name",
    "check_picture_name",
    "commit",
    "commit_json",
    "file_sha256",
    "json_bytes",
    "network_type",
    "none_for_nan",
    "put_in_place",
    "read_json",
    "refuse_taken",
    "sha256",
    "sidecar_path",
    "write_aside",
]
