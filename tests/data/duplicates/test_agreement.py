"""Agreement of aligned photos: copies of every kind agree, other shots do not."""

from __future__ import annotations

import numpy as np
import pytest

from maskcls.data.duplicates.agreement import agreement
from maskcls.data.duplicates.candidates import nearest_windows
from maskcls.data.duplicates.hashes import MIRRORED, WHOLE, signs, thumbnail, window_hashes
from maskcls.data.duplicates.made_copies import AREA, KINDS, made_copies
from maskcls.data.photos.images import read_image


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    """Drawn faces of four people, one photo each."""
    from maskcls.data.drawn.faces import make_faces

    root = tmp_path_factory.mktemp("faces")
    make_faces(root, people=4, seed=3, eval_people=1, size=(160, 120))
    folders = sorted((root / "train" / "images").iterdir())
    return [read_image(next(iter(sorted(folder.glob("normal.*"))))) for folder in folders]


def test_every_kind_of_copy_agrees_more_than_any_two_people(faces: list[np.ndarray]) -> None:
    people = [agreement(thumbnail(a), thumbnail(b), WHOLE) for i, a in enumerate(faces) for b in faces[i + 1 :]]
    seen = set()
    for face in faces:
        small = thumbnail(face)
        for kind, copy in made_copies(face, np.random.default_rng(1)):
            part = thumbnail(copy)
            window = int(nearest_windows(window_hashes(small)[np.newaxis], signs(window_hashes(part)[:1]))[1][0, 0])
            assert agreement(small, part, window) > max(0.9, *people), kind
            assert (window >= MIRRORED) == (kind == "mirrored")
            seen.add(kind)
    assert seen == set(KINDS)


def test_equal_photos_agree_fully_and_a_local_change_counts(faces: list[np.ndarray]) -> None:
    small = thumbnail(faces[0])
    assert agreement(small, small, WHOLE) == pytest.approx(1, abs=1e-3)
    changed = small.copy()
    changed[48:, :] = thumbnail(faces[1])[48:, :]  # the lower half is that of another photo
    assert agreement(small, changed, WHOLE) < 0.6
    assert agreement(small, np.full_like(small, 128), WHOLE) == 0


def test_made_copies_are_what_they_are_called() -> None:
    yy, xx = np.mgrid[0:90, 0:60]
    image = np.stack([yy * 2, xx * 3, yy + xx], axis=-1).astype(np.uint8)
    for seed in range(5):
        copies = dict(made_copies(image, np.random.default_rng(seed)))
        assert list(copies) == list(KINDS)
        assert np.abs(copies["mirrored"][:, ::-1].astype(int) - image).mean() < 4
        ratio = copies["brightened"].mean() / image.mean()
        assert 1.05 < max(ratio, 1 / ratio) < 1.35
        height, width = copies["cropped"].shape[:2]
        assert AREA[0] - 0.03 < height * width / (90 * 60) < AREA[1] + 0.03
        assert 0.6 < copies["encoded"].shape[0] / 90 < 1.4
