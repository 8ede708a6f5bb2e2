"""Files: how they are written, read and hashed, and the names of outputs."""

from maskcls.files.atomic import AsideFile, as_unwritten, commit, written_aside
from maskcls.files.digests import file_sha256, sha256
from maskcls.files.json_data import commit_json, json_bytes, none_for_nan, read_json
from maskcls.files.output_folders import folder_aside, put_folder
from maskcls.files.output_names import (
    check_outputs,
    check_page_name,
    check_picture_name,
    sidecar_path,
)
from maskcls.files.outputs import FORCE, OutputFile, check_place, commit_outputs, refuse_finished
from maskcls.files.own_folders import filling
from maskcls.files.temporaries import TEMPORARY, sweep, temporary_folder

__all__ = [
    "FORCE",
    "TEMPORARY",
    "AsideFile",
    "OutputFile",
    "as_unwritten",
    "check_outputs",
    "check_page_name",
    "check_picture_name",
    "check_place",
    "commit",
    "commit_json",
    "commit_outputs",
    "file_sha256",
    "filling",
    "folder_aside",
    "json_bytes",
    "none_for_nan",
    "put_folder",
    "read_json",
    "refuse_finished",
    "sha256",
    "sidecar_path",
    "sweep",
    "temporary_folder",
    "written_aside",
]
