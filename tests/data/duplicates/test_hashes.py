"""The difference hash, its windows, and the search of candidates, against plain loops."""

from __future__ import annotations

import numpy as np

from maskcls.data.duplicates import hashes
from maskcls.data.duplicates.candidates import (
    NEAREST,
    Candidates,
    embedding_candidates,
    hash_candidates,
    hash_distance,
    nearest_windows,
)


def smooth(seed: int) -> np.ndarray:
    """Return a thumbnail, uint8 (S, S), of a few large shapes."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6)).astype(np.float64)
    return np.kron(small, np.ones((hashes.S // 6, hashes.S // 6))).astype(np.uint8)


def test_bits_say_whether_a_cell_is_brighter_than_the_one_left_of_it() -> None:
    rising = np.tile(np.arange(17) * 10, (16, 1)).astype(np.uint8)
    assert hashes.difference_hash(rising).tolist() == [255] * 32
    assert hashes.difference_hash(rising[:, ::-1].copy()).tolist() == [0] * 32
    one = np.zeros((16, 17), np.uint8)
    one[2, 5] = 9  # brighter than its left neighbour: bit 4 of row 2
    bits = np.unpackbits(hashes.difference_hash(one)).reshape(16, 16)
    assert np.argwhere(bits).tolist() == [[2, 4]]


def test_windows_are_the_photo_its_parts_and_their_mirror_images() -> None:
    assert len(hashes.WINDOWS) == 2 * (1 + 2 * 9)
    assert hashes.WINDOWS[hashes.WHOLE] == hashes.HashWindow(0.0, 0.0, 1.0, mirrored=False)
    assert hashes.WINDOWS[hashes.MIRRORED] == hashes.HashWindow(0.0, 0.0, 1.0, mirrored=True)
    assert all(max(w.left, w.top) + w.side <= 1 + 1e-9 for w in hashes.WINDOWS)
    image = smooth(0)
    found = hashes.window_hashes(image)
    assert found.shape == (38, hashes.BYTES)
    assert (found[hashes.MIRRORED] == hashes.difference_hash(image[:, ::-1].copy())).all()
    corner = hashes.WINDOWS.index(hashes.HashWindow(0.0, 0.0, 0.84, mirrored=False))
    side = round(0.84 * hashes.S)
    assert (found[corner] == hashes.difference_hash(image[:side, :side].copy())).all()


def test_the_nearest_window_is_that_of_a_plain_loop() -> None:
    hash_NWB = np.stack([hashes.window_hashes(smooth(seed)) for seed in range(5)])
    dot_NN, window_NN = nearest_windows(hash_NWB, hashes.signs(hash_NWB[:, hashes.WHOLE]))
    for i in range(5):
        for j in range(5):
            loop = [hash_distance(one, hash_NWB[j, hashes.WHOLE]) for one in hash_NWB[i]]
            assert (256 - dot_NN[i, j]) / 2 == min(loop) == loop[window_NN[i, j]]


def test_candidates_are_the_nearest_of_the_own_person_and_of_others() -> None:
    images = [smooth(seed) for seed in range(2 * NEAREST + 4)]
    images[7] = images[2][:, ::-1]  # a mirrored copy
    hash_NWB = np.stack([hashes.window_hashes(np.ascontiguousarray(image)) for image in images])
    person_N = np.arange(len(images)) // 2
    done: list[int] = []
    found = hash_candidates(hash_NWB, person_N, on_progress=done.append)
    pairs = list(zip(found.whole_P.tolist(), found.part_P.tolist(), found.window_P.tolist(), strict=True))
    assert (2, 7, hashes.MIRRORED) in pairs
    assert (7, 2, hashes.MIRRORED) in pairs
    for row in range(len(images)):
        own = [part for whole, part, _ in pairs if whole == row and person_N[part] == person_N[row]]
        others = [part for whole, part, _ in pairs if whole == row and person_N[part] != person_N[row]]
        assert own == [row ^ 1]
        assert len(set(others)) == NEAREST
    assert done == [len(images)]


def test_embeddings_add_their_nearest_of_other_people_in_both_directions() -> None:
    rng = np.random.default_rng(0)
    embedding_ND = rng.normal(size=(30, 4)).astype(np.float32)
    embedding_ND[20] = 3 * embedding_ND[4]  # the same direction
    embedding_ND[9] = 0  # a photo that could not be read
    found = embedding_candidates(embedding_ND, np.arange(30) // 2)
    pairs = set(zip(found.whole_P.tolist(), found.part_P.tolist(), found.window_P.tolist(), strict=True))
    assert {(4, 20, hashes.WHOLE), (4, 20, hashes.MIRRORED)} <= pairs
    assert not any(part == 9 for _, part, _ in pairs)
    assert not any(whole // 2 == part // 2 for whole, part, _ in pairs)
    more = Candidates(np.array([4]), np.array([20]), np.array([hashes.WHOLE]))
    assert len(found.plus(more).whole_P) == len(pairs)
