"""Every file that a user names, or that lies in a run, is read by `files.reading`: searched in the source.

A plain `open` waits for ever at a pipe, and `read_bytes` takes a file of any size into memory.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from project import PACKAGE_DIR

READERS = {
    *("open", "os.open", "os.fdopen", "io.open", "codecs.open", "mmap.mmap"),
    *("shutil.copy", "shutil.copy2", "shutil.copyfile", "shutil.copytree", "hashlib.file_digest"),
    *("np.load", "np.loadtxt", "np.genfromtxt", "np.fromfile", "np.memmap", "pd.read_csv", "pd.read_parquet"),
    *("torch.load", "torch.export.load", "safetensors.safe_open", "load_file", "safe_open", "onnx.load"),
    *("zipfile.ZipFile", "tarfile.open", "Image.open", "cv2.imread", "ImageFont.truetype", "json.load", "yaml.load"),
    *("cv2.FaceDetectorYN.create", "onnxruntime.InferenceSession", "fileinput.input", "runpy.run_path"),
}
METHODS = {"open", "read_bytes", "read_text"}
IN_MEMORY = ("io.BytesIO", "BytesIO", "io.StringIO")  # a reader of what was read before

# module: call: (how often, why it may)
OF_THE_SYSTEM = "a file of the operating system"
IN_MEMORY_ALREADY = "the bytes that were read before"
OF_THE_PACKAGE = "a file that is installed with maskcls, a library or the system"
FOLDER = "a folder, to be synchronised"
LOCK = "opened to be locked; nothing is read from it"
EXCEPTIONS: dict[tuple[str, str], tuple[int, str]] = {
    ("files/reading.py", "os.open"): (1, "the bounded way itself"),
    ("files/reading.py", "os.fdopen"): (1, "the bounded way itself"),
    ("files/reading.py", "hashlib.file_digest"): (1, "the bounded way itself"),
    ("files/atomic.py", "os.open"): (1, FOLDER),
    ("files/atomic.py", "open"): (1, "opened to be written"),
    ("files/outputs.py", "os.open"): (1, FOLDER),
    ("files/temporaries.py", "os.open"): (3, "opened to be written, or a folder"),
    ("files/file_locks.py", "os.open"): (1, LOCK),
    ("files/network_disk.py", "MOUNTS.read_text"): (1, OF_THE_SYSTEM),
    ("files/arrays.py", "archive.open"): (1, "an entry of an archive in memory, whose size was checked"),
    ("results/predictions.py", "archive.open"): (1, "an entry that is written"),
    ("results/predictions.py", "zipfile.ZipFile"): (1, "an archive that is written, in memory"),
    ("data/drawn/faces.py", "path.open"): (1, "opened to be written"),
    ("data/photos/cache.py", "(part / PIXELS).open"): (1, "opened to be written"),
    ("data/photos/identity/pack_check.py", "mmap.mmap"): (1, "a file that `files.opened` opened"),
    ("data/photos/identity/pack_pixels.py", "os.open"): (1, "pixels of the cache, after their size was compared"),
    ("data/photos/identity/pack_pixels.py", "open"): (1, "the same"),
    ("data/photos/identity/pack_pixels.py", "np.memmap"): (1, "the same"),
    ("data/photos/identity/pack_pixels.py", "mmap.mmap"): (1, "no file"),
    ("training/tracking/tensorboard_log.py", "(self.folder / name).open"): (1, "opened to be written"),
    ("show/terminal/streams.py", "open"): (1, "/dev/null"),
    ("show/terminal/streams.py", "os.open"): (2, "/dev/null"),
    ("data/duplicates/made_copies.py", "Image.open"): (1, IN_MEMORY_ALREADY),
    ("data/photos/header_sizes.py", "Image.open"): (1, "a file that `files.opened` opened"),
    ("show/report/network_input.py", "Image.open"): (1, "a file that `files.opened` opened"),
    ("export/onnx_model.py", "onnxruntime.InferenceSession"): (1, IN_MEMORY_ALREADY),
    ("data/photos/face_detector.py", "cv2.FaceDetectorYN.create"): (
        1,
        "a model that was read and hashed before",
    ),
    ("export/int8/quantize.py", "onnx.load"): (1, "a file that this process has just written"),
    ("data/photos/cache_folder.py", "os.open"): (1, LOCK),
    ("runs/integrity/run_in_use.py", "os.open"): (1, LOCK),
    ("runs/locks/run_lock.py", "os.open"): (3, LOCK),
    ("runs/locks/waiting_lock.py", "os.open"): (1, LOCK),
    ("jobs/engines/local_jobs.py", "open"): (2, "a pipe of this process"),
    ("jobs/engines/local_jobs.py", "Path(f'/proc/{number}/stat').read_text"): (1, OF_THE_SYSTEM),
    ("jobs/job.py", "os.open"): (1, "opened to be written"),
    ("jobs/slots.py", "os.open"): (1, LOCK),
    ("tuning/worker_files.py", "os.open"): (1, LOCK),
    ("machine/time_limit.py", "Path('/proc/self/stat').read_text"): (1, OF_THE_SYSTEM),
    ("engine/compute/candidates.py", "Path('/proc/cpuinfo').read_text"): (1, OF_THE_SYSTEM),
    ("engine/compute/free_memory.py", "(group / 'memory.current').read_text"): (1, OF_THE_SYSTEM),
    ("engine/compute/free_memory.py", "limit.read_text"): (1, OF_THE_SYSTEM),
    ("engine/compute/free_memory.py", "table.read_text"): (1, OF_THE_SYSTEM),
    ("engine/compute/machine_load.py", "Path('/proc/stat').read_text"): (1, OF_THE_SYSTEM),
    ("machine/processors.py", "Path('/proc/cpuinfo').read_text"): (1, OF_THE_SYSTEM),
    ("files/source_code.py", "paths[name].read_bytes"): (1, OF_THE_PACKAGE),
    ("show/pages/page.py", "(TEMPLATES / name).read_text"): (1, OF_THE_PACKAGE),
    ("show/pictures/fonts.py", "path.open"): (1, OF_THE_PACKAGE),
    ("show/pictures/lettering.py", "ImageFont.truetype"): (1, OF_THE_PACKAGE),
}


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def is_read(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    if call.args and ast.unparse(call.args[0]).startswith(IN_MEMORY):
        return False
    return name in READERS or (isinstance(call.func, ast.Attribute) and call.func.attr in METHODS)


def other_reads(folder: Path) -> tuple[Counter[tuple[str, str]], int]:
    """Return how often each call that opens or reads a file is in each module, and the number of modules."""
    found: Counter[tuple[str, str]] = Counter()
    modules = sorted(folder.rglob("*.py"))
    for path in modules:
        for call in calls(ast.parse(path.read_text("utf-8"))):
            if is_read(call):
                found[path.relative_to(folder).as_posix(), ast.unparse(call.func)] += 1
    return found, len(modules)


def test_no_file_is_read_in_another_way() -> None:
    found, modules = other_reads(PACKAGE_DIR)
    assert modules > 400
    assert dict(found) == {place: count for place, (count, _) in EXCEPTIONS.items()}


def test_the_search_finds_what_it_must(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        "import os, torch, io\n"
        "def f(path):\n"
        "    open(path); path.open(); path.read_bytes(); os.open(path, 0); torch.load(path)\n"
        "    torch.load(io.BytesIO(b'')); path.write_bytes(b''); path.is_file()\n"
    )
    found, modules = other_reads(tmp_path)
    names = ("open", "path.open", "path.read_bytes", "os.open", "torch.load")
    assert (found, modules) == (Counter({("a.py", name): 1 for name in names}), 1)
