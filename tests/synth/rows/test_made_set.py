"""Samples drawn from a generator: which they are, how many, and which are left out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny import tiny

from maskcls.errors import UsageError
from maskcls.labels import CONTEST, Floats, Ints
from maskcls.results.synth.copied_faces import copy_limit
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.gans.generator_network import Generator, GeneratorPlan
from maskcls.synth.gans.pixels import to_pixels
from maskcls.synth.loop.step_draws import drawing
from maskcls.synth.loop.synth_rows import SynthRows
from maskcls.synth.rows.drawing import AT_ONCE, SAMPLE_NOISE, Drawn, SampleSource, draw_samples, most_draws
from maskcls.synth.rows.made_set import MOST_DRAWS, SampleFilter, filter_of, make_set
from maskcls.synth.rows.thumbnails import both_ways

CPU = torch.device("cpu")
REPORT = Reporter(quiet=True)
PEOPLE, EACH = 8, 3
NONE = SampleFilter(None, None)


def rows_of(label_N: list[int], person_N: list[int], *, fold: int = 1) -> SynthRows:
    joint = np.array(label_N, dtype=np.int64)
    images = np.random.default_rng(5).integers(0, 256, (len(joint), 16, 16, 3)).astype(np.uint8)
    classes = {"age": (">=60",)}
    labels = CONTEST.decode(joint)
    return SynthRows(
        images,
        joint,
        labels,
        np.array(person_N, dtype=np.int64),
        tuple(f"{n}.jpg" for n in range(len(joint))),
        labels["age"] == 2,
        CONTEST,
        fold,
        classes,
    )


def gan(*words: str, fold: int = 1) -> SampleSource:
    plan = GeneratorPlan((16, 16), 3, 4, "resize", (3, 2, 3))
    torch.manual_seed(0)
    network = Generator(plan)
    facts: dict[str, Any] = {"kind": "dcgan", "plan": plan.to_json()}
    rows = rows_of([2, 2, 5, 5], [0, 0, 1, 1], fold=fold)
    return SampleSource(tiny("synth.kind=dcgan", *words), rows, "a" * 64, network.state_dict(), facts)


def test_a_sample_is_what_the_network_makes_of_the_inputs_of_its_key() -> None:
    source = gan()
    network = Generator(GeneratorPlan.from_json(source.facts["plan"]))
    network.load_state_dict(dict(source.tensors))
    network.eval()
    number, label = 3, 5  # mask wear, female, >=60
    noise = torch.randn(3, generator=drawing(source.cfg.seed, 1, number, SAMPLE_NOISE, label))
    tasks = CONTEST.decode(np.array([label]))
    label_T = torch.tensor([int(tasks[name][0]) for name in CONTEST.names])
    with torch.no_grad():
        wanted = to_pixels(network(noise[None], label_T[None]))[0]
    found = draw_samples(source, label, 2, 4, CPU)
    assert np.abs(found.images_MHWC[1].astype(int) - wanted.astype(int)).max() <= 1  # a batch may round differently
    assert found.parents_M == ((),) * 4


def test_a_sample_does_not_depend_on_how_many_are_drawn() -> None:
    source = gan()
    whole = draw_samples(source, 2, 0, AT_ONCE + 5, CPU)
    assert len(whole) == AT_ONCE + 5
    for first, count in ((0, 1), (4, 7), (AT_ONCE, 5), (AT_ONCE - 1, 3)):
        part = draw_samples(source, 2, first, count, CPU)
        np.testing.assert_array_equal(part.images_MHWC, whole.images_MHWC[first : first + count])
    assert len(draw_samples(source, 2, 0, 0, CPU)) == 0


@pytest.mark.parametrize("other", ["fold", "label", "seed"])
def test_other_keys_give_other_samples(other: str) -> None:
    first = draw_samples(gan(), 2, 0, 2, CPU).images_MHWC
    source = gan(*(["seed=9"] if other == "seed" else []), fold=0 if other == "fold" else 1)
    assert (draw_samples(source, 5 if other == "label" else 2, 0, 2, CPU).images_MHWC != first).any()


def test_copies_of_photos_are_their_own_parents() -> None:
    rows = rows_of([2, 2, 2, 0, 0], [0, 1, 2, 3, 4])
    # The photo at 0 is among those of its class, the one at 9 among others: all copies are of the hard one.
    feature = np.array([[0.0], [0.1], [9.0], [9.1], [9.2]], dtype=np.float32)
    source = SampleSource(tiny("synth.neighbours=1"), rows, "a" * 64, feature_ND=feature)
    drawn = draw_samples(source, 2, 0, 4, CPU)
    assert drawn.parents_M == ((2,),) * 4
    np.testing.assert_array_equal(drawn.images_MHWC, rows.images_NHWC[[2] * 4])
    near = replace(source, cfg=tiny("synth.neighbours=4"))  # of photo 0: 1 of its class, 2, 3 and 4
    assert draw_samples(near, 2, 0, 4, CPU).parents_M != drawn.parents_M
    made = make_set(source, {2: 3}, NONE, CPU, REPORT)
    assert made.parents == (("2.jpg",),) * 3
    assert most_draws(source, 2, 3, MOST_DRAWS) == 3


def test_smote_makes_no_images() -> None:
    source = replace(gan(), cfg=tiny("synth.kind=smote"))
    for ask in (lambda: draw_samples(source, 2, 0, 1, CPU), lambda: most_draws(source, 2, 1, 2)):
        with pytest.raises(UsageError, match="makes no images"):
            ask()


@dataclass(frozen=True)
class Pixels:
    """Compares images by their pixels; those of an even first pixel are of another class."""

    label: int

    def features(self, images_MHWC: NDArray[np.uint8], report: Reporter) -> Floats:
        return images_MHWC.reshape(len(images_MHWC), -1).astype(np.float32)

    def labels(self, images_MHWC: NDArray[np.uint8]) -> Ints:
        return np.where(images_MHWC[:, 0, 0, 0] % 2 == 1, self.label, self.label + 1).astype(np.int64)


def faces(seed: int, count: int) -> NDArray[np.uint8]:
    """Return photos of people: those of one person are alike, first pixels odd."""
    rng = np.random.default_rng(seed)
    people = rng.integers(0, 256, (count, 16, 16, 3))
    people[:, 0, 0, 0] |= 1
    return people.astype(np.uint8)


def strangers(seed: int, count: int) -> NDArray[np.uint8]:
    """Return images of new people, which differ from all photos more than the photos of two people do."""
    images = np.where(faces(seed, count) < 128, 1, 255)
    return images.astype(np.uint8)


def jittered(images: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).integers(-3, 4, images.shape)
    noise[:, 0, 0, 0] = 0
    return np.clip(images.astype(int) + noise, 0, 255).astype(np.uint8)


def photo_rows() -> SynthRows:
    """Return `EACH` photos of each person, which differ by a little noise."""
    people = np.repeat(faces(0, PEOPLE), EACH, axis=0)
    rows = rows_of([2] * len(people), np.repeat(np.arange(PEOPLE), EACH).tolist())
    return replace(rows, images_NHWC=jittered(people, 1))


def planted(monkeypatch: pytest.MonkeyPatch, images: NDArray[np.uint8]) -> SampleSource:
    """Return a generator whose samples are these images, one after the other."""

    def draw(source: SampleSource, label: int, first: int, count: int, device: torch.device) -> Drawn:
        return Drawn(images[first : first + count], ((),) * len(images[first : first + count]))

    monkeypatch.setattr("maskcls.synth.rows.made_set.draw_samples", draw)
    monkeypatch.setattr("maskcls.synth.rows.made_set.most_draws", lambda *args: len(images))
    return SampleSource(tiny("synth.kind=dcgan", "synth.copy_quantile=0.05"), photo_rows(), "a" * 64)


def test_copies_of_training_photos_are_left_out_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exact copy, a jittered one, and new people."""
    photos, new = photo_rows().images_NHWC, strangers(7, 4)
    images = np.concatenate([new[:1], photos[4:5], new[1:2], jittered(photos[10:11], 3), new[2:]])
    source = planted(monkeypatch, images)
    chosen = filter_of(source, source.cfg.synth, Pixels(2), REPORT)
    made = make_set(source, {2: 9}, chosen, CPU, REPORT)
    np.testing.assert_array_equal(made.images_NHWC, new)
    (count,) = made.counts
    assert (count.wanted, count.made, count.kept, count.copies, count.disputed) == (9, 6, 4, 2, 0)


def test_the_limit_follows_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    source = planted(monkeypatch, photo_rows().images_NHWC)
    people, photos = source.rows.person_N, source.rows.images_NHWC
    feature, small = Pixels(2).features(photos, REPORT), both_ways(photos)
    for share in (0.05, 0.5):
        cfg = tiny("synth.kind=dcgan", f"synth.copy_quantile={share}")
        found = filter_of(source, cfg.synth, None if share < 0.5 else Pixels(2), REPORT).near
        assert found is not None
        assert found.limit == copy_limit(small, np.tile(people, 2), share) > 0
        translating = tiny("synth.kind=cyclegan", f"synth.copy_quantile={share}")
        found = filter_of(source, translating.synth, Pixels(2), REPORT).near
        assert found is not None
        assert found.limit == copy_limit(feature, people, share) > 0
    off = filter_of(source, tiny("synth.kind=dcgan", "synth.copy_quantile=0").synth, Pixels(2), REPORT)
    assert len(make_set(source, {2: 99}, off, CPU, REPORT).images_NHWC) == PEOPLE * EACH


def test_samples_that_the_classifier_disputes_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    images = strangers(7, 6)
    images[[1, 4], 0, 0, 0] = 8  # even: of another class
    images[5] = photo_rows().images_NHWC[0]
    images[5, 0, 0, 0] = 8  # a copy that is disputed too counts as a copy
    source = planted(monkeypatch, images)
    made = make_set(source, {2: 9}, filter_of(source, source.cfg.synth, Pixels(2), REPORT), CPU, REPORT)
    np.testing.assert_array_equal(made.images_NHWC, images[[0, 2, 3]])
    (count,) = made.counts
    assert (count.copies, count.disputed) == (1, 2)
    trusting = tiny("synth.kind=dcgan", "synth.agree=false", "synth.copy_quantile=0").synth
    kept = make_set(source, {2: 9}, filter_of(source, trusting, Pixels(2), REPORT), CPU, REPORT)
    assert len(kept.images_NHWC) == 6


def test_copies_made_on_purpose_are_not_left_out() -> None:
    rows = photo_rows()
    source = SampleSource(tiny("synth.kind=oversample"), rows, "a" * 64, feature_ND=np.zeros((len(rows.ids), 1)))
    chosen = filter_of(source, source.cfg.synth, Pixels(0), REPORT)
    assert len(make_set(source, {2: 5}, chosen, CPU, REPORT).images_NHWC) == 5


def test_drawing_ends_with_the_quota_and_with_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    images = strangers(9, 60)
    images[::2, 0, 0, 0] = 8  # every other one is disputed
    source = planted(monkeypatch, images)
    chosen = filter_of(source, source.cfg.synth, Pixels(2), REPORT)
    made = make_set(source, {2: 7}, chosen, CPU, REPORT)
    np.testing.assert_array_equal(made.images_NHWC, images[1:15:2])
    assert (made.counts[0].made, made.counts[0].disputed) == (14, 7)  # those drawn after the last one do not count
    short = make_set(source, {2: 50}, chosen, CPU, REPORT)
    assert (short.counts[0].made, short.counts[0].kept) == (60, 30)
    assert make_set(source, {2: 0}, chosen, CPU, REPORT).counts[0].made == 0


def test_a_generator_may_be_drawn_from_ten_times_per_wanted_sample() -> None:
    assert most_draws(gan(), 2, 3, MOST_DRAWS) == 30
