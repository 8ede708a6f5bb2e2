"""Which photos are translated: by person in turn, a function of (seed, fold, n)."""

from collections import Counter

import numpy as np
import pytest
import torch
from cyclegan_rows import cyclegan_config, cyclegan_player, cyclegan_rows

from maskcls.errors import DataError
from maskcls.labels import CONTEST
from maskcls.synth.cyclegan.domains import Domains
from maskcls.synth.cyclegan.translate import chosen_parents, translate, translator_of

ROWS = cyclegan_rows(cyclegan_config(), people=18, photos=4)
OLD = Domains({"age": ("30-59",)}, {"age": (">=60",)}, CONTEST)
OLD_MAN, OLD_WOMAN = (CONTEST.joint_names.index(f"wear/{gender}/>=60") for gender in ("male", "female"))


def choose(wanted: list[int], seed: int = 0, fold: int = 0) -> list[int]:
    return chosen_parents(np.array(wanted), ROWS.labels, ROWS.person_N, OLD, seed=seed, fold=fold).tolist()


def test_parents_are_of_the_source_with_equal_kept_labels() -> None:
    wanted = [OLD_MAN, OLD_WOMAN] * 12
    parents = np.array(choose(wanted))

    assert (ROWS.labels["age"][parents] == 1).all()
    made = OLD.translated({name: label_N[parents] for name, label_N in ROWS.labels.items()})
    assert CONTEST.encode(made).tolist() == wanted


def test_people_take_turns_and_then_their_photos() -> None:
    # Six men in the middle (people 2, 4, 8, 10, 14, 16), each with two photos with a mask (0 and 3 of four).
    parents = choose([OLD_MAN] * 15)
    people = [int(ROWS.person_N[row]) for row in parents]

    assert sorted(people[:6]) == [2, 4, 8, 10, 14, 16]
    assert people[6:12] == people[:6]
    assert len(set(parents[:12])) == 12
    assert parents[12:] == parents[:3]  # the last ones again, from the start


def test_more_samples_do_not_change_earlier_ones() -> None:
    few, mixed = choose([OLD_MAN] * 3), choose([OLD_WOMAN, OLD_MAN, OLD_WOMAN, OLD_MAN, OLD_MAN, OLD_MAN])

    assert [mixed[1], mixed[3], mixed[4]] == few


def test_seed_and_fold_change_the_order() -> None:
    orders = Counter(tuple(choose([OLD_MAN] * 12, seed, fold)) for seed in range(3) for fold in (-1, 0, 1))

    assert len(orders) == 9
    assert choose([OLD_MAN] * 12, 2, 1) == choose([OLD_MAN] * 12, 2, 1)


@pytest.mark.parametrize(("name", "message"), [
    ("wear/male/30-59", "a class that photos are not translated into"),
    ("wear/male/<30", "a class that photos are not translated into"),
])  # fmt: skip
def test_other_classes_are_refused(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        choose([CONTEST.joint_names.index(name)])

    assert caught.value.where == f"class {name}"


def test_a_class_without_a_photo_to_translate_is_refused() -> None:
    rows = cyclegan_rows(cyclegan_config(), photos=1)  # with a mask only
    wanted = np.array([CONTEST.joint_names.index("normal/male/>=60")])
    with pytest.raises(DataError, match="no photo to translate") as caught:
        chosen_parents(wanted, rows.labels, rows.person_N, OLD, seed=0, fold=0)

    assert caught.value.expected == "a photo of age 30-59"


def test_no_samples_have_no_parents() -> None:
    assert choose([]) == []


def test_an_image_is_translated_alike_however_many_there_are() -> None:
    generator = cyclegan_player().generator()
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 16, 3), dtype=np.uint8)
    together = translate(*generator, images, torch.device("cpu"))

    for first, last in ((0, 3), (31, 33), (39, 40), (5, 5)):
        assert np.array_equal(translate(*generator, images[first:last], torch.device("cpu")), together[first:last])
    assert len({image.tobytes() for image in together}) == 40


def test_both_directions_are_saved_and_are_different() -> None:
    player = cyclegan_player()
    image = torch.zeros((1, 3, 32, 16))
    for direction in ("there", "back"):
        network = translator_of(*player.generator(), direction=direction)
        assert torch.equal(network(image), player.networks[f"{direction}_ema"](image))
        assert not network.training
