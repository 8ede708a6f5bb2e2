"""Files: how they are written, read and hashed, and the names of outputs."""

from maskcls.files.atomic import AsideFile, as_unwritten, commit, written_aside
from maskcls.files.digests import sha256
from maskcls.files.json_data import (
    JSON_FILE,
    SIDECAR_FILE,
    commit_json,
    json_bytes,
    none_for_nan,
    parse_json,
    read_json,
    read_json_lines,
)
from maskcls.files.json_digest import DIGEST, content_digest, with_digest, without_digest
from maskcls.files.network_disk import network_type
from maskcls.files.output_folders import folder_aside, put_folder
from maskcls.files.output_names import (
    check_folder,
    check_outputs,
    check_page_name,
    check_picture_name,
    named_file,
    sidecar_path,
)
from maskcls.files.outputs import FORCE, OutputFile, check_place, commit_outputs, refuse_finished
from maskcls.files.own_folders import filling
from maskcls.files.reading import (
    RUN_FILE,
    WRITTEN_FILE,
    FileKind,
    check_file,
    file_sha256,
    opened,
    read_file,
    size_text,
)
from maskcls.files.temporaries import TEMPORARY, sweep, temporary_folder

__all__ = [
    "DIGEST",
    "FORCE",
    "JSON_FILE",
    "RUN_FILE",
    "SIDECAR_FILE",
    "TEMPORARY",
    "WRITTEN_FILE",
    "AsideFile",
    "FileKind",
    "OutputFile",
    "as_unwritten",
    "check_file",
    "check_folder",
    "check_outputs",
    "check_page_name",
    "check_picture_name",
    "check_place",
    "commit",
    "commit_json",
    "commit_outputs",
    "content_digest",
    "file_sha256",
    "filling",
    "folder_aside",
    "json_bytes",
    "named_file",
    "network_type",
    "none_for_nan",
    "opened",
    "parse_json",
    "put_folder",
    "read_file",
    "read_json",
    "read_json_lines",
    "refuse_finished",
    "sha256",
    "sidecar_path",
    "size_text",
    "sweep",
    "temporary_folder",
    "with_digest",
    "without_digest",
    "written_aside",
]
