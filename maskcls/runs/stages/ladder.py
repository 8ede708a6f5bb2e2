"""The settings of the stages that a training with a time limit may take, from cheap to costly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from maskcls import config
from maskcls.config import SettingOrigin
from maskcls.errors import ConfigError
from maskcls.schema import Config
from maskcls.typedjson import JsonFile
from maskcls.viewnames import parse_views

Size = tuple[int, int]  # (height, width) in pixels
# What the stages may choose; a setting that a person gave is kept.
CHOSEN = (
    *("model.train", "transforms.size", "train.epochs", "folds.k", "train.seeds"),
    *("sampler.epoch_fraction", "predict.views", "train.report"),  # of the first stage
)
FIRST_PHOTOS = 512  # the first stage that trains a network does so on no more photos
SIDE_STEP, SMALLEST_SIDE = 8, 48  # pixels: sizes are multiples, and a smaller side only where the recipe has it


@dataclass(frozen=True)
class Rung:
    """One step of the ladder, relative to the recipe. share: of its height and width; epochs: of its epochs."""

    share: float
    epochs: float
    folds: int | None
    seeds: int
    first: bool = False


# From the second on, each costs about 1.3 to 2.5 times the one before it. folds None: as many as the recipe has.
RUNGS = (
    Rung(0.5, 0.0, 2, 1, first=True),
    Rung(0.5, 0.125, 2, 1),
    Rung(0.5, 0.25, 2, 1),
    Rung(0.5, 0.5, 2, 1),
    Rung(0.5, 1.0, 2, 1),
    Rung(0.75, 1.0, 2, 1),
    Rung(0.75, 1.0, 3, 1),
    Rung(1.0, 1.0, 3, 1),
    Rung(1.0, 1.0, None, 1),
    Rung(1.0, 1.5, None, 1),
    Rung(1.0, 2.0, None, 1),
    Rung(1.0, 2.0, None, 2),
    Rung(1.0, 2.0, None, 3),
    Rung(1.5, 2.0, None, 2),
    Rung(1.5, 2.0, None, 3),
    Rung(1.5, 2.0, None, 5),
)


class StageSettings(JsonFile):
    """The settings of one stage.

    size    height and width in pixels. share: of the training photos in each epoch. views: predict.views; page: whether
            a report page is written.
    epochs  0: heads are fitted on the backbone as it is, model.train=heads.
    """

    size: Size
    epochs: int
    folds: int
    seeds: int
    share: float = 1.0
    views: str = "none"
    page: bool = True

    @property
    def fitted(self) -> bool:
        """Whether heads are fitted, and no network is trained."""
        return self.epochs == 0


def free_settings(
    cfg: Config, origins: Mapping[str, SettingOrigin], shipped: Sequence[str], folds: str | None = None
) -> tuple[str, ...]:
    """Return which settings of CHOSEN the stages may choose: those that no person gave.

    shipped  names of shipped configurations: their values are a recipe, which may be changed.
    folds    the numbers of the folds that were asked for; None: all.

    Settings are kept, too, where others depend on them: the folds where a file of added rows, renewed folds or numbers
    of folds belong to them, or there is one; epochs and size where train.stages or settings of a task name them. Fitted
    heads have no epochs and one seed, and further folds and views cost hardly more. What is trained is kept where
    `without_heads` has a reason.
    """
    free = [key for key in CHOSEN if not origins[key].given or str(origins[key]) in shipped]
    of_tasks = {key for own in cfg.separate.values() for key in config.flatten(own)}
    kept = {key for key in free if key in of_tasks}
    if cfg.train.stages:
        kept |= {"train.epochs"}
    how = cfg.folds
    if cfg.data.pseudo or cfg.data.synth or how.k == 1 or how.renew or folds is not None:
        kept |= {"folds.k"}
    if cfg.model.train == "heads":
        kept |= set(CHOSEN) - {"transforms.size"}
    elif without_heads(cfg):
        kept |= {"model.train"}
    return tuple(key for key in free if key not in kept)


def without_heads(cfg: Config) -> str:
    """Say why no stage of a configuration can fit heads on its backbone as it is; "" where one can."""
    models = [member.model for member in config.members(cfg).values()]
    if not all(model.pretrained or model.weights for model in models):
        return "the backbone has random weights; model.weights=FILE or model.pretrained=true gives it others"
    try:
        stage_config(cfg, _of_heads(cfg, ()))
    except ConfigError as error:
        return f"expected {error.expected or '; '.join(error.offenders)}"
    return ""


def ladder(
    cfg: Config, free: Sequence[str], photos: int, takes: Callable[[Size], bool] = lambda size: True
) -> list[StageSettings]:
    """Return the settings of the stages, from cheap to costly; at least one.

    photos  labelled photos of the data set. takes: whether the backbone takes images of a size.

    Where the stages choose model.train, the first one fits heads, with the size, folds and views of the configuration.
    Where all of them fit heads, the first is the configuration as it is, and the others are larger. A rung that costs
    no more than the one before it is left out, and so is one whose settings contradict others.
    """
    heads = [_of_heads(cfg, free)] if "model.train" in free else []
    found: list[StageSettings] = []
    for settings in _all_settings(cfg, free, photos):
        if found and stage_work(settings, cfg, photos) <= stage_work(found[-1], cfg, photos):
            continue
        if takes(settings.size) and _is_valid(cfg, settings):
            found.append(settings)
    return heads + (found or [own_settings(cfg)])


def own_settings(cfg: Config) -> StageSettings:
    """Return what a configuration itself says."""
    share = cfg.sampler.epoch_fraction
    size, train = cfg.transforms.size, cfg.train
    return StageSettings(
        size=size,
        epochs=train.epochs if cfg.model.train == "all" else 0,
        folds=cfg.folds.k,
        seeds=train.seeds,
        share=share,
        views=cfg.predict.views,
        page=train.report,
    )


def _of_heads(cfg: Config, free: Sequence[str]) -> StageSettings:
    """Return the settings of the stage that fits heads; their cost depends little on the number of folds."""
    page = cfg.train.report and "train.report" not in free
    return own_settings(cfg).model_copy(update={"epochs": 0, "seeds": 1, "page": page})


def _all_settings(cfg: Config, free: Sequence[str], photos: int) -> Iterator[StageSettings]:
    own = own_settings(cfg)
    for rung in RUNGS:
        if own.fitted and rung.share < 1:
            continue  # most of the time goes into starting and reading: heads of small photos cost hardly less
        chosen = dict(own)
        if "transforms.size" in free:
            chosen["size"] = scaled_size(own.size, rung.share)
        if "train.epochs" in free:
            chosen["epochs"] = max(1, round(own.epochs * rung.epochs))
        if "folds.k" in free:
            chosen["folds"] = own.folds if rung.folds is None else min(rung.folds, own.folds)
        if "train.seeds" in free:
            chosen["seeds"] = max(rung.seeds, own.seeds)
        if rung.first and "sampler.epoch_fraction" in free:
            trained = photos * (1 - 1 / chosen["folds"]) if chosen["folds"] > 1 else photos
            chosen["share"] = min(own.share, FIRST_PHOTOS / max(1.0, trained))
        if rung.first and "predict.views" in free:
            chosen["views"] = "none"
        if rung.first and "train.report" in free:
            chosen["page"] = False
        yield StageSettings(**chosen)


def scaled_size(size: Size, share: float) -> Size:
    """Return a size with both sides multiplied by a share, in steps of SIDE_STEP pixels and not below SMALLEST_SIDE.

    A side that is smaller from the start is not enlarged by this limit.

    >>> scaled_size((128, 96), 0.75), scaled_size((64, 48), 0.5), scaled_size((100, 100), 1.0)
    ((96, 72), (64, 48), (100, 100))
    """
    share = max(share, min(1.0, SMALLEST_SIDE / min(size)))
    if share == 1:
        return size
    height, width = (max(SIDE_STEP, SIDE_STEP * round(side * share / SIDE_STEP)) for side in size)
    return height, width


def stage_config(cfg: Config, settings: StageSettings) -> Config:
    """Return a configuration with the settings of a stage; the warm-up keeps its part of shortened epochs.

    Where heads are fitted, networks are not trained further (train.continue_epochs).

    Raises ConfigError for settings that contradict others.
    """
    data = cfg.model_dump(mode="json")
    data["transforms"]["size"] = list(settings.size)
    epochs = settings.epochs or cfg.train.epochs
    data["train"] |= {"epochs": epochs, "seeds": settings.seeds, "report": settings.page}
    data["predict"]["views"] = settings.views
    data["folds"]["k"] = settings.folds
    data["sampler"]["epoch_fraction"] = settings.share
    data["schedule"]["warmup_epochs"] *= min(1.0, epochs / cfg.train.epochs)
    if settings.fitted:
        data["model"]["train"] = "heads"
        data["train"] = {name: value for name, value in data["train"].items() if not name.startswith("continue_")}
        if cfg.predict.networks == "continued":
            data["predict"]["networks"] = "folds"
    return config.without_automatic_baseline(config.validate(data, where="a stage of --budget"))


def _is_valid(cfg: Config, settings: StageSettings) -> bool:
    try:
        stage_config(cfg, settings)
    except ConfigError:
        return False
    return True


def stage_work(settings: StageSettings, cfg: Config, photos: int) -> float:
    """Return the cost of a stage in forward passes times pixels: training takes 3 of them, validation 1 per view.

    Where heads are fitted, every photo takes one pass per view, for all folds.

    photos  labelled photos. The cost of reading, of starting and of the page is no part of it.
    """
    networks = settings.seeds * len(config.members(cfg))
    views, folds = len(parse_views(settings.views)), settings.folds
    if settings.fitted:
        return float(networks * photos * (views + cfg.heads.augmented) * settings.size[0] * settings.size[1])
    trained = photos * max(folds - 1, 1) * settings.share * settings.epochs
    trained += photos * settings.epochs * cfg.train.refit + photos * folds * cfg.train.continue_epochs
    predicted = photos * settings.epochs * views
    return networks * (3 * trained + predicted) * settings.size[0] * settings.size[1]
