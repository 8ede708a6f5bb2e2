"""Generators of examples of rare classes: which kind, how it is trained, and which of its samples are used."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from maskcls.schema.section import Auto, Below, Count, Kept, Positive, Section, Share, TaskName

SynthKind = Literal["smote", "oversample", "dcgan", "wgan-gp", "cyclegan"]
AugmentPart = Literal["colour", "translation", "cutout"]
NotNegative = Annotated[float, Field(ge=0, le=1_000_000)]
Side = Annotated[int, Field(ge=16, le=256)]


class SynthConfig(Section):
    """Generators of examples of rare classes, one per fold (`maskcls synth`). `maskcls train` uses none of these
    settings; it uses the samples named by data.synth."""

    kind: SynthKind = "oversample"
    """What makes the examples. smote: interpolation between embeddings (Chawla et al. 2002, arXiv:1106.1813).
    oversample: copies of photos, more of those that are hard to learn (ADASYN, He et al. 2008). dcgan, wgan-gp:
    generators of images (Radford et al. 2016, arXiv:1511.06434; Gulrajani et al. 2017, arXiv:1704.00028). cyclegan:
    photos of one class are translated into another (Zhu et al. 2017, arXiv:1703.10593)."""
    classes: dict[TaskName, tuple[str, ...]] = Field(default={})
    """Classes that examples are made of, per task, for example `{age: ['>=60']}`. Empty: the class of any task that has
    the fewest groups (people). cyclegan: one class per task."""
    from_classes: dict[TaskName, tuple[str, ...]] = Field(default={})
    """Classes that photos are translated from with synth.kind=cyclegan, of the same task as synth.classes, for example
    `{age: ['30-59']}`. Empty: the neighbour with more groups in a task with bins, else the class with most groups."""
    least_groups: Count = 20
    """Number of groups (people) of the rare class in a fold's training rows below which no generator is trained. With
    few examples per class, generators did harm (arXiv:2603.16134: below 20 to 50 images)."""
    neighbours: Count = 5
    """Number of nearest examples used by synth.kind=smote, for the partner, and by oversample, for the difficulty."""
    size: tuple[Side, Side] = (64, 48)
    """Height and width of generated images, in pixels, each a multiple of sixteen. The photo is cropped as for the
    classifier."""
    steps: Count = 5_000
    """Number of training steps of the generator."""
    batch_size: Count = 32
    """Number of photos per training step. cyclegan: of each of its two classes."""
    width: Annotated[int, Field(ge=4, le=512)] = 64
    """Number of channels of the widest image layer of the networks; deeper layers have multiples of it."""
    latent: Annotated[int, Field(ge=1, le=4096)] = 128
    """Number of random inputs of the generator (dcgan and wgan-gp)."""
    condition: Literal["projection", "concat"] = "projection"
    """How the discriminator gets the labels (dcgan and wgan-gp). projection: as an inner product with its features
    (Miyato and Koyama 2018, arXiv:1802.05637). concat: as further channels of its input (Mirza and Osindero 2014,
    arXiv:1411.1784)."""
    upsample: Literal["transposed", "resize"] = "resize"
    """How the generator enlarges its features: transposed convolutions, or enlarging followed by convolutions, which
    leave no checkerboard pattern (Odena et al. 2016)."""
    lr_generator: Kept = 2e-4
    """Learning rate of the generator (Adam)."""
    lr_critic: Kept = 2e-4
    """Learning rate of the discriminator or critic (Adam)."""
    beta1: Auto | Below = "auto"
    """First parameter of Adam. auto: one half for dcgan and cyclegan, 0 for wgan-gp, as in the papers."""
    beta2: Auto | Below = "auto"
    """Second parameter of Adam. auto: as in the papers of dcgan, cyclegan and wgan-gp."""
    ema: Below = 0.999
    """Decay per step of the moving average of the generator's weights, which makes the samples (Yazici et al. 2019,
    arXiv:1806.04498). 0: the last weights make them."""
    augment: tuple[AugmentPart, ...] = ("colour", "translation", "cutout")
    """Random changes of real and generated images before the discriminator (DiffAugment, Zhao et al. 2020,
    arXiv:2006.10738). An empty list: none."""
    real_label: Kept = 0.9
    """Target of the discriminator for real photos (dcgan). Below 1: one-sided label smoothing (Salimans et al. 2016,
    arXiv:1606.03498)."""
    label_noise: Below = 0.0
    """Half the width of the interval that targets of the discriminator are drawn from (dcgan; Chintala et al. 2016,
    ganhacks)."""
    label_flips: Below = 0.0
    """Share of the targets of the discriminator that are exchanged between real and generated (dcgan; Chintala et al.
    2016, ganhacks)."""
    instance_noise: NotNegative = 0.0
    """Standard deviation, at the first step, of the noise added to all images of the discriminator; it falls linearly
    to 0. Pixels lie between -1 and 1 (dcgan; Soenderby et al. 2017, arXiv:1610.04490)."""
    dropout: Below = 0.0
    """Dropout rate of the discriminator (dcgan; Radford et al. 2016)."""
    penalty: NotNegative = 10.0
    """Weight of the gradient penalty (wgan-gp)."""
    critic_steps: Annotated[int, Field(ge=1, le=100)] = 5
    """Number of steps of the critic per step of the generator (wgan-gp)."""
    critic_norm: Literal["layer", "instance", "none"] = "layer"
    """Normalisation in the critic of wgan-gp: layer, instance or none. Batch normalisation is not possible, as the
    penalty is per example."""
    network: Literal["resnet", "unet"] = "resnet"
    """Form of the generators of cyclegan: a resnet between two halvings of the size, or a unet with connections between
    layers of equal size."""
    blocks: Annotated[int, Field(ge=1, le=16)] = 9
    """Number of residual blocks with synth.network=resnet."""
    padding: Literal["reflect", "zero"] = "reflect"
    """What the generators of cyclegan see beyond the border: reflect, the mirrored image, or zero."""
    pool: Annotated[int, Field(ge=0, le=10_000)] = 50
    """Number of earlier generated images from which half of the discriminator's images are drawn (cyclegan; Shrivastava
    et al. 2017, arXiv:1612.07828). 0: none."""
    cycle: NotNegative = 10.0
    """Weight of the cycle loss: a photo translated there and back should be the same photo (cyclegan)."""
    identity: NotNegative = 0.5
    """Weight of the identity loss relative to synth.cycle: a photo that is of the class already should not change
    (cyclegan)."""
    decay_share: Share = 0.5
    """Share of the steps, the last ones, in which the learning rates fall linearly to 0 (cyclegan)."""
    sheet_steps: Count = 500
    """Number of steps between two saved sheets of samples."""
    per_class: Auto | Count = "auto"
    """Number of samples per joint class and fold. auto: as many as the most frequent joint class of the same other
    labels has photos more than this one, but no more than this one has photos."""
    copy_quantile: Share = 0.003
    """A sample is left out as a copy if it is closer to a training photo than this share of the training photos is to
    the nearest photo of another group (person). Distances are between small grey images, mirrored ones too; for
    cyclegan, between embeddings of the classifier. 0: no sample is left out."""
    agree: bool = True
    """Leave out samples to which the fold's classifier gives another label than the generator was asked for."""
    weight: Positive = 1.0
    """Weight of a sample in training, relative to a labelled photo."""
