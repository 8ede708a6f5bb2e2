"""The arms of a verdict: nothing, oversampling, mixing with rare partners, and one per table of samples.

Nothing here imports torch, so that errors come at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from maskcls.config.validation import without_automatic_baseline
from maskcls.errors import UsageError
from maskcls.machine import refuse_several
from maskcls.runs.checks import check_training
from maskcls.schema import Config

Fit = Literal["training", "heads"]
NOTHING, OVERSAMPLE, MIX = "nothing", "oversample", "mix"
SMOTE = "smote"  # in the place of a table: examples between embeddings, for heads on frozen features alone


@dataclass(frozen=True)
class Arm:
    """One way to train.

    changed  the settings that differ from arm `nothing`, as on a command line.
    samples  the table of samples; None without one, or if the examples are interpolated.
    """

    name: str
    cfg: Config
    changed: tuple[str, ...] = ()
    samples: Path | None = None

    @property
    def is_table(self) -> bool:
        """Whether it is trained with made examples, on which a verdict is asked for."""
        return self.name not in (NOTHING, OVERSAMPLE, MIX)


def check_arms(data: Path, cfg: Config, samples: Sequence[str], fit: Fit) -> None:
    """Raise what is wrong before the first training: UsageError, ConfigError, DataError or WeightsError."""
    if not samples:
        raise UsageError("no table of samples is named", expected="DATA SAMPLES", fix="name what synth sample wrote")
    refuse_several("the comparison of arms")
    names = [table_name(one) for one in samples]
    if twice := sorted({one for one in names if names.count(one) > 1}):
        fix = "name each table once, and give tables of equal names others"
        raise UsageError("tables of samples have the same name", got=", ".join(twice), fix=fix)
    if SMOTE in samples and fit == "training":
        raise UsageError(
            "interpolated embeddings are no photos to train on",
            got=SMOTE,
            fix="add --fit heads, or name a table of samples",
        )
    if fit == "heads" and cfg.data.pseudo is not None:
        fix = "leave data.pseudo out of the settings, or train with --fit training"
        raise UsageError("heads on frozen features are not fitted to pseudo labels", where="data.pseudo", fix=fix)
    if cfg.data.synth is not None or cfg.data.leaky:
        where = "data.leaky" if cfg.data.leaky else "data.synth"
        fix = f"leave {where} out of the settings; the tables are arguments"
        raise UsageError("the arm without samples cannot have this setting", where=where, fix=fix)
    if cfg.sampler.draw == "oversample" or (cfg.mix.kind == "cutmix" and cfg.mix.partner_classes):
        where = "sampler.draw" if cfg.sampler.draw == "oversample" else "mix.partner_classes"
        fix = f"leave {where} out of the settings; that arm is trained anyway"
        raise UsageError("the settings are those of another arm already", where=where, fix=fix)
    for one in samples:
        check_training(data, cfg if one == SMOTE else with_samples(cfg, Path(one)), None)


def table_name(samples: str) -> str:
    """Return the name of the arm with a table of samples.

    >>> table_name("made/gan.csv"), table_name("smote")
    ('synth-gan', 'smote')
    """
    return SMOTE if samples == SMOTE else f"synth-{Path(samples).stem}"


def build_arms(cfg: Config, samples: Sequence[str], rare: Mapping[str, tuple[str, ...]]) -> list[Arm]:
    """Return the arms; what is neither scored nor compared is not trained: no network of all rows, no page.

    rare  the rare classes, per task: the partners in mixing.
    """
    train = {"refit": False, "continue_epochs": 0, "report": False, "patience": None}
    base = without_automatic_baseline(cfg.model_copy(update={"train": cfg.train.model_copy(update=train)}))
    sampler = base.sampler.model_copy(update={"draw": "oversample"})
    mix = base.mix.model_copy(update={"kind": "cutmix", "partner_classes": dict(rare)})
    partners = ", ".join(f"{task}: [{', '.join(map(repr, names))}]" for task, names in rare.items())
    arms = [
        Arm(NOTHING, base),
        Arm(OVERSAMPLE, base.model_copy(update={"sampler": sampler}), ("sampler.draw=oversample",)),
        Arm(MIX, base.model_copy(update={"mix": mix}), ("mix.kind=cutmix", f"mix.partner_classes={{{partners}}}")),
    ]
    for one in samples:
        path = None if one == SMOTE else Path(one)
        own = base if path is None else with_samples(base, path)
        changed = ("synth.kind=smote",) if path is None else (f"data.synth={path}",)
        arms.append(Arm(table_name(one), own, changed, path))
    return arms


def with_samples(cfg: Config, samples: Path) -> Config:
    """Return the configuration with a table of samples."""
    return cfg.model_copy(update={"data": cfg.data.model_copy(update={"synth": str(samples)})})


def with_fraction(arm: Arm, fraction: float) -> Arm:
    """Return the arm with another length of an epoch; a fraction of 1 is said nowhere."""
    sampler = arm.cfg.sampler.model_copy(update={"epoch_fraction": fraction})
    if sampler == arm.cfg.sampler:
        return arm
    changed = (*arm.changed, f"sampler.epoch_fraction={fraction:.6g}")
    return Arm(arm.name, arm.cfg.model_copy(update={"sampler": sampler}), changed, arm.samples)
