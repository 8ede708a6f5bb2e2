"""Which stages a time limit may choose: computed by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskcls import config
from maskcls.runs.stages.ladder import (
    CHOSEN,
    RUNGS,
    StageSettings,
    free_settings,
    ladder,
    scaled_size,
    stage_config,
    stage_work,
    without_heads,
)
from maskcls.schema import Config
from maskcls.show.runs.stages import stage_title

TRAINED = tuple(key for key in CHOSEN if key != "model.train")  # where no stage fits heads
RECIPE = ("folds.k=5", "transforms.size=[128, 96]", "train.epochs=4", "predict.views=none")


def recipe(*settings: str) -> Config:
    return config.load(None, [*RECIPE, *settings])[0]


def test_the_ladder_grows_from_a_small_first_stage_over_the_recipe_to_more_than_it() -> None:
    found = ladder(recipe(), TRAINED, 5600)

    assert [stage_title(one) for one in found] == [
        "64x48, 1 epoch, 2 folds of 18% of the photos",  # 512 of the 2800 that each of two networks has
        "64x48, 1 epoch, 2 folds",
        "64x48, 2 epochs, 2 folds",
        "64x48, 4 epochs, 2 folds",
        "96x72, 4 epochs, 2 folds",
        "96x72, 4 epochs, 3 folds",
        "128x96, 4 epochs, 3 folds",
        "128x96, 4 epochs, 5 folds",
        "128x96, 6 epochs, 5 folds",
        "128x96, 8 epochs, 5 folds",
        "128x96, 8 epochs, 5 folds, 2 seeds",
        "128x96, 8 epochs, 5 folds, 3 seeds",
        "192x144, 8 epochs, 5 folds, 2 seeds",
        "192x144, 8 epochs, 5 folds, 3 seeds",
        "192x144, 8 epochs, 5 folds, 5 seeds",
    ]
    assert len(RUNGS) == 16


def test_every_stage_costs_more_than_the_one_before() -> None:
    cfg = recipe()
    works = [stage_work(one, cfg, 5600) for one in ladder(cfg, TRAINED, 5600)]

    assert works == sorted(set(works))


def test_work_is_forward_passes_times_pixels() -> None:
    settings = StageSettings(size=(10, 20), epochs=3, folds=4, seeds=2, share=0.5)

    # 2 networks per fold; each photo trains in 3 folds, half of them per epoch, 3 passes each, and is validated once.
    assert stage_work(settings, recipe(), 100) == 2 * (3 * 100 * 3 * 0.5 * 3 + 100 * 3) * 200
    two_views = settings.model_copy(update={"views": "hflip"})
    assert stage_work(two_views, recipe(), 100) == 2 * (3 * 100 * 3 * 0.5 * 3 + 100 * 3 * 2) * 200
    refit = recipe("train.refit=true")
    assert stage_work(settings, refit, 100) == 2 * (3 * (100 * 3 * 0.5 * 3 + 100 * 3) + 100 * 3) * 200
    separate = recipe("model.heads=separate")
    assert stage_work(settings, separate, 100) == 3 * stage_work(settings, recipe(), 100)


def test_the_first_stage_fits_heads_as_the_configuration_would_train_and_the_others_stay_as_they_are() -> None:
    cfg = recipe("predict.views=hflip", "train.seeds=3", "sampler.epoch_fraction=0.5")
    first, *others = ladder(cfg, CHOSEN, 5600)

    assert stage_title(first) == "128x96, fitted heads, 5 folds"
    assert first == StageSettings(size=(128, 96), epochs=0, folds=5, seeds=1, share=0.5, views="hflip", page=False)
    assert others == ladder(cfg, TRAINED, 5600)
    assert stage_work(first, cfg, 5600) == 2 * 5600 * 128 * 96  # each photo in two views, once for all folds
    kept = [key for key in CHOSEN if key != "train.report"]
    assert ladder(cfg, kept, 5600)[0].page
    assert not ladder(recipe("train.report=false"), kept, 5600)[0].page


def test_a_stage_of_heads_has_no_settings_of_further_epochs_and_seeds() -> None:
    cfg = recipe(
        *("model.pretrained=true", "train.seeds=3", "train.continue_epochs=2", "train.continue_rows=valid"),
        *("train.continue_lr_share=0.5", "predict.networks=continued", "train.refit=true"),
    )
    found = config.flatten(stage_config(cfg, ladder(cfg, CHOSEN, 5600)[0]).model_dump(mode="json"))
    before = config.flatten(cfg.model_dump(mode="json"))
    default = config.flatten(config.load(None)[0].model_dump(mode="json"))

    further = ("train.continue_epochs", "train.continue_rows", "train.continue_lr_share", "predict.networks")
    assert {key: value for key, value in found.items() if value != before[key]} == {
        "model.train": "heads",
        "train.baseline": False,
        "train.seeds": 1,
        "train.report": False,
        **{key: default[key] for key in further},
    }


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ([], "random weights"),
        (["model.pretrained=true"], ""),
        (["model.weights=w.safetensors"], ""),
        (["model.pretrained=true", "loss.all=bce"], ""),  # heads that are fitted have no loss
        (["model.pretrained=true", "model.heads=joint", "train.continue_epochs=1", "train.seeds=2"], ""),
        (["model.pretrained=true", "age.head=ordinal"], "expected only age.drop of the section age"),
        (["model.pretrained=true", "heads.strength=3"], "expected auto or a number up to 1"),
        (["model.heads=separate", "separate.age.model.pretrained=true"], "random weights"),
        (["model.heads=separate", "model.pretrained=true"], ""),
        (["model.heads=separate", "model.pretrained=true", "separate.age.age.head=ordinal"], "expected only age.drop"),
    ],
)
def test_why_heads_cannot_be_fitted(settings: list[str], reason: str) -> None:
    cfg, origins = config.load(None, settings)

    assert without_heads(cfg).startswith(reason) if reason != "random weights" else reason in without_heads(cfg)
    assert bool(without_heads(cfg)) == bool(reason)
    assert ("model.train" in free_settings(cfg, origins, ())) == (reason == "")


def test_where_heads_are_fitted_stages_differ_in_size_alone() -> None:
    cfg, origins = config.load(None, ["model.train=heads"])
    free = free_settings(cfg, origins, ())
    assert free == ("transforms.size",)
    cfg = recipe("model.train=heads", "predict.views=hflip", "heads.augmented=1")
    found = ladder(cfg, free, 5600)
    assert [(stage_title(one), one.views, one.page) for one in found] == [
        ("128x96, fitted heads, 5 folds", "hflip", True),
        ("192x144, fitted heads, 5 folds", "hflip", True),
    ]
    assert [stage_work(one, cfg, 100) for one in found] == [300 * 128 * 96, 300 * 192 * 144]
    assert stage_config(cfg, found[0]) == config.without_automatic_baseline(cfg)  # the recipe as it is comes first
    assert ladder(cfg, (), 5600) == found[:1]


def test_a_time_limit_begins_with_the_shipped_recipe_of_fitted_heads_itself() -> None:
    cfg, origins = config.load([config.find(Path("first_minutes"))], ["model.weights=w.safetensors"])
    first, *larger = ladder(cfg, free_settings(cfg, origins, ["first_minutes.yaml"]), 5600)
    assert (first.size, first.views, first.folds) == ((128, 96), "hflip", 5)
    assert [one.size for one in larger] == [(192, 144)]


@pytest.mark.parametrize(
    ("size", "share", "expected"),
    [
        ((128, 96), 0.5, (64, 48)),
        ((128, 96), 0.75, (96, 72)),
        ((64, 48), 0.5, (64, 48)),  # not below 48
        ((32, 24), 0.5, (32, 24)),  # and not enlarged to it
        ((224, 224), 1.5, (336, 336)),
        ((100, 100), 1.0, (100, 100)),
        ((80, 60), 0.5, (64, 48)),  # 60 -> 48, and 80 by the same share
    ],
)
def test_a_size_keeps_its_shape(size: tuple[int, int], share: float, expected: tuple[int, int]) -> None:
    assert scaled_size(size, share) == expected


GIVEN = {
    "model.train=all": "model.train",
    "transforms.size=[64, 64]": "transforms.size",
    "train.epochs=3": "train.epochs",
    "folds.k=4": "folds.k",
    "train.seeds=2": "train.seeds",
    "sampler.epoch_fraction=0.5": "sampler.epoch_fraction",
    "predict.views=hflip": "predict.views",
    "train.report=true": "train.report",
}


@pytest.mark.parametrize(("setting", "key"), GIVEN.items())
def test_what_a_person_gives_is_kept_in_every_stage(setting: str, key: str) -> None:
    cfg, origins = config.load(None, ["model.pretrained=true", setting])
    free = free_settings(cfg, origins, ())

    assert free == tuple(one for one in CHOSEN if one != key)
    rungs = [one for one in ladder(cfg, free, 5000) if key != "train.seeds" or not one.fitted]  # heads have one seed
    stages = [config.flatten(stage_config(cfg, one).model_dump(mode="json")) for one in rungs]
    given = config.flatten(cfg.model_dump(mode="json"))[key]
    assert {str(one[key]) for one in stages} == {str(given)}
    others = ladder(cfg, CHOSEN, 5000)  # without that the setting would change
    own = [config.flatten(stage_config(cfg, one).model_dump(mode="json"))[key] for one in others]
    assert len({str(value) for value in own}) > 1


def test_a_shipped_configuration_is_a_recipe_and_an_own_file_is_not(tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    own.write_text("train: {epochs: 9}\n")
    cfg, origins = config.load([config.find(Path("multi")), own])

    free = free_settings(cfg, origins, ["multi.yaml"])

    assert {"transforms.size", "folds.k"} <= set(free)
    assert "train.epochs" not in free
    assert free_settings(cfg, origins, ()) == ("train.seeds", "sampler.epoch_fraction", "train.report")


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        (["train.stages=[[2, 0.5]]"], {"train.epochs"}),
        (["data.pseudo=p.csv"], {"folds.k"}),
        (["data.synth=s.csv"], {"folds.k"}),
        (["folds.renew=1"], {"folds.k"}),
        (["model.heads=separate", "separate.mask.train.epochs=2"], {"train.epochs"}),
        (["model.heads=separate", "separate.age.transforms.size=[64, 64]"], {"transforms.size"}),
    ],
)
def test_what_other_settings_depend_on_is_kept(settings: list[str], kept: set[str]) -> None:
    cfg, origins = config.load(None, settings)

    assert set(TRAINED) - set(free_settings(cfg, origins, ())) == kept


def test_numbers_of_folds_keep_how_many_there_are() -> None:
    cfg, origins = config.load(None)

    assert set(TRAINED) - set(free_settings(cfg, origins, (), "4")) == {"folds.k"}


def test_nothing_free_is_one_stage() -> None:
    cfg = recipe("train.seeds=2")

    assert ladder(cfg, (), 100) == [StageSettings(size=(128, 96), epochs=4, folds=5, seeds=2, share=1.0)]


def test_sizes_that_the_backbone_does_not_take_are_left_out() -> None:
    found = ladder(recipe(), TRAINED, 5600, lambda size: size == (128, 96))

    assert {one.size for one in found} == {(128, 96)}


def test_the_warm_up_keeps_its_part_of_fewer_epochs_and_no_more() -> None:
    cfg = recipe("schedule.warmup_epochs=2", "train.epochs=8")
    short = StageSettings(size=(64, 48), epochs=2, folds=2, seeds=1)

    assert stage_config(cfg, short).schedule.warmup_epochs == 0.5
    assert stage_config(cfg, short.model_copy(update={"epochs": 16})).schedule.warmup_epochs == 2
    assert stage_config(cfg, short).transforms.size == (64, 48)
    assert (stage_config(cfg, short).folds.k, stage_config(cfg, short).train.epochs) == (2, 2)


def test_a_small_data_set_has_no_part_of_an_epoch() -> None:
    assert ladder(recipe(), TRAINED, 100)[0] == StageSettings(
        size=(64, 48), epochs=1, folds=2, seeds=1, share=1.0, views="none", page=False
    )
