"""From a photo to the input of the network: crop, size, random changes in training, and mixing with other photos."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from maskcls.schema.section import Auto, Below, Inside, Kept, Pixels, Positive, Section, Share, TaskName

_OFF: dict[str, Any] = {
    **dict.fromkeys(("hflip", "geometry", "colour", "saturation", "hue", "zoom", "cutout", "erasing"), 0.0),
    **dict.fromkeys(("grid_dropout", "gray", "clahe", "sharpen", "blur"), 0.0),
    "randaugment": 0,
}
_GEOMETRY, _COLOUR = ("geometry", "shift", "scale", "rotate_deg"), ("colour", "brightness", "contrast")
# Settings of each value of transforms.preset. `faces` is the set that worked in the contest: it changes colours little,
# because the colour of a mask carries information.
PRESETS: dict[str, dict[str, Any]] = {
    "none": _OFF,
    "light": _OFF
    | {"hflip": 0.5}
    | dict(zip(_GEOMETRY, (0.5, 0.05, 0.1, 10.0), strict=True))
    | dict(zip(_COLOUR, (0.5, 0.2, 0.2), strict=True)),
    "medium": _OFF
    | {"hflip": 0.5, "saturation": 0.15, "zoom": 0.3, "zoom_share": 0.85}
    | dict(zip(_GEOMETRY, (0.7, 0.08, 0.15, 15.0), strict=True))
    | dict(zip(_COLOUR, (0.7, 0.25, 0.25), strict=True))
    | {"erasing": 0.25, "erasing_boxes": 1, "erasing_area": [0.02, 0.15]},
    "strong": _OFF
    | {"hflip": 0.5, "saturation": 0.25, "hue": 0.02, "zoom": 0.5, "zoom_share": 0.75}
    | dict(zip(_GEOMETRY, (0.8, 0.1, 0.2, 20.0), strict=True))
    | dict(zip(_COLOUR, (0.8, 0.2, 0.25), strict=True))
    | {"erasing": 0.5, "erasing_boxes": 3, "erasing_area": [0.05, 0.3]}
    | {"randaugment": 1, "randaugment_magnitude": 4.0},
    "faces": _OFF
    | {"hflip": 0.5}
    | dict(zip(_GEOMETRY, (0.5, 0.05, 0.1, 8.0), strict=True))
    | dict(zip(_COLOUR, (0.5, 0.1, 0.1), strict=True))
    | {"cutout": 0.5, "cutout_size": 0.4, "erasing": 0.25, "erasing_boxes": 1, "erasing_area": [0.02, 0.1]},
}


class TransformsConfig(Section):
    """How a photo becomes the input of the network.

    preset, crop, crop_centre, size, mean and std apply always; all others are random changes in training only.
    """

    preset: Literal["none", "light", "medium", "strong", "faces"] | None = Field(default=None, exclude=True)
    """Name of a set of values for the random changes below. Settings given beside it in the same file, or later, win. A
    resolved configuration holds the values and no preset. Null: no preset."""
    crop: tuple[Kept, Kept] = (1.0, 1.0)
    """Shares of the height and the width that are kept before resizing."""
    crop_centre: tuple[Share, Share] = (0.5, 0.5)
    """Position of the crop's centre, as shares of the photo's height and width. It is moved if the crop would leave the
    photo."""
    size: tuple[Pixels, Pixels] = (128, 96)
    """Height and width of the network's input, in pixels."""
    hflip: Share = 0.5
    """Probability of a left-right flip."""
    geometry: Share = 0.5
    """Probability of a random shift, change of scale and rotation, drawn together."""
    shift: Below = 0.05
    """Largest shift, as a share of each side."""
    scale: Below = 0.1
    """Largest change of scale, as a share: the factor lies between 1 - scale and 1 + scale."""
    rotate_deg: Annotated[float, Field(ge=0, le=180)] = 10.0
    """Largest rotation in either direction, in degrees."""
    zoom: Share = 0.0
    """Probability of a random crop, resized to the full input size."""
    zoom_share: Kept = 0.8
    """Smallest share of each side that the random crop keeps."""
    colour: Share = 0.5
    """Probability of a random change of brightness, contrast, saturation and hue, drawn together."""
    brightness: Below = 0.2
    """Largest relative change of the brightness, as a share."""
    contrast: Below = 0.2
    """Largest relative change of the contrast, as a share."""
    saturation: Below = 0.0
    """Largest relative change of the saturation, as a share."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Largest change of the hue, as a share of the colour circle."""
    randaugment: Annotated[int, Field(ge=0, le=3)] = 0
    """Number of RandAugment operations per image (Cubuk et al. 2020, arXiv:1909.13719)."""
    randaugment_magnitude: Annotated[float, Field(ge=0, le=10)] = 5.0
    """Strength of the RandAugment operations, on the scale of the paper."""
    cutout: Share = 0.0
    """Probability of hiding one box with the mean colour (Cutout, DeVries and Taylor 2017, arXiv:1708.04552)."""
    cutout_size: Inside = 0.3
    """Size of the Cutout box, as a share of each side."""
    erasing: Share = 0.0
    """Probability of hiding several boxes of random shape (random erasing, Zhong et al. 2017, arXiv:1708.04896)."""
    erasing_boxes: Annotated[int, Field(ge=1, le=8)] = 1
    """Largest number of boxes of random erasing."""
    erasing_area: tuple[Kept, Kept] = (0.02, 0.2)
    """Smallest and largest area that all boxes of random erasing hide together, as shares of the image."""
    erasing_fill: Literal["mean", "noise"] = "mean"
    """What the boxes of random erasing are filled with: the mean colour, or random noise."""
    grid_dropout: Share = 0.0
    """Probability of hiding a regular grid of squares with the mean colour (GridMask, Chen et al. 2020,
    arXiv:2001.04086)."""
    grid_unit: Kept = 0.25
    """Distance between the squares of the grid, as a share of the shorter side."""
    grid_ratio: Inside = 0.5
    """Side of a square, as a share of the distance between the squares."""
    gray: Share = 0.0
    """Probability of removing the colour."""
    clahe: Share = 0.0
    """Probability of local contrast equalisation (CLAHE)."""
    sharpen: Share = 0.0
    """Probability of sharpening."""
    blur: Share = 0.0
    """Probability of blurring."""
    mean: tuple[Share, Share, Share] | Auto = "auto"
    """Mean per channel (red, green, blue) that is subtracted from pixel values scaled to [0, 1]. auto: the mean with
    which the backbone's weights were trained, according to timm, or to the run that model.weights comes from. The run
    stores the numbers."""
    std: tuple[Positive, Positive, Positive] | Auto = "auto"
    """Standard deviation per channel (red, green, blue) that the result is divided by. auto: as for the mean."""

    @model_validator(mode="before")
    @classmethod
    def _write_out_preset(cls, data: Any) -> Any:
        """Replace a preset by its values for all settings that are not given; raises if all of them are given."""
        if not isinstance(data, dict):
            return data
        name, filled = data.get("preset"), data
        if isinstance(name, str) and name in PRESETS:
            if PRESETS[name].keys() <= data.keys():
                raise ValueError(f"fewer settings beside preset={name}, as it sets only what is not given")
            filled = PRESETS[name] | data | {"preset": None}
        # Strict validation accepts a list for a tuple only in JSON, and the result of this function is not JSON.
        return {key: tuple(value) if isinstance(value, list) else value for key, value in filled.items()}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.erasing_area[0] > self.erasing_area[1]:
            raise ValueError("transforms.erasing_area with the smaller share first")
        return self


class MixConfig(Section):
    """Two training images combined into one, together with their labels."""

    kind: Literal["none", "cutmix", "halves", "mixup"] = "none"
    """How images are combined. cutmix: a box of the partner is pasted in (Yun et al. 2019, arXiv:1905.04899). halves:
    the left or right part comes from the partner. mixup: a weighted mean of both (Zhang et al. 2018,
    arXiv:1710.09412)."""
    prob: Share = 0.5
    """Share of the training images that are mixed."""
    alpha: Positive = 1.0
    """Both parameters of the Beta distribution that the image's share is drawn from, for mix.kind=cutmix or mixup."""
    ratio: tuple[Inside, Inside] = (0.46, 0.54)
    """Smallest and largest position of the cut for mix.kind=halves, as shares of the width."""
    partner: Literal["any", "same", "other"] = "any"
    """Which images may be partners: any joint class, the same joint class, or another one."""
    partner_classes: dict[TaskName, tuple[str, ...]] = Field(default={})
    """Classes that partners must have, per task, for example `{age: ['>=60']}`. Empty: no restriction."""
