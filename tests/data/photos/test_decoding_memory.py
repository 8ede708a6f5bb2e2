"""How much memory decoding takes, measured in a process of its own: bytes per pixel, and the file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SIDE = 3000
PER_PIXEL = {
    ".png": 10.5,
    ".jpg": 10.5,
    ".webp": 20.0,
}  # bytes; a progressive JPEG takes 10, see images.MAX_PIXELS_WEBP
FORMS = {
    "png": ("RGB", ".png", {"compress_level": 1}),
    "png, transparent": ("RGBA", ".png", {"compress_level": 1}),
    "jpeg": ("RGB", ".jpg", {"quality": 90}),
    "jpeg, progressive": ("RGB", ".jpg", {"quality": 90, "progressive": True, "subsampling": 0}),
    "webp": ("RGB", ".webp", {"method": 0}),
    "webp, lossless": ("RGBA", ".webp", {"method": 0, "lossless": True, "quality": 0}),
}
MEASURE = """
import sys
from pathlib import Path
from maskcls.data.photos.images import read_image

def peak(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) << 10

read_image(Path(sys.argv[2]))
Path("/proc/self/clear_refs").write_text("5")  # the peak is what it is now
before = peak("VmRSS")
read_image(Path(sys.argv[1]))
print(peak("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="no peak of memory in /proc")
@pytest.mark.parametrize("form", FORMS)
def test_a_photo_takes_few_bytes_per_pixel(form: str, tmp_path: Path) -> None:
    mode, suffix, options = FORMS[form]
    coarse = np.random.default_rng(0).integers(0, 256, (SIDE // 60, SIDE // 60, 4), dtype=np.uint8)
    path, small = tmp_path / f"large{suffix}", tmp_path / f"small{suffix}"
    photo = Image.fromarray(coarse).resize((SIDE, SIDE)).convert(mode)
    photo.save(path, **options)
    photo.crop((0, 0, 40, 40)).save(small, **options)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, path, small], capture_output=True, text=True, check=True, timeout=300
    )
    taken = int(done.stdout)
    assert 3 * SIDE**2 < taken < PER_PIXEL[suffix] * SIDE**2 + path.stat().st_size
