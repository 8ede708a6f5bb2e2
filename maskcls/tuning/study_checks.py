"""What a search cannot do, told before its first trial."""

from __future__ import annotations

from maskcls.errors import UsageError
from maskcls.runs.repeats.repeat_runs import refuse_single
from maskcls.schema import Config


def check_search(cfg: Config, sampler: str, trials: int | None) -> None:
    """Raise UsageError for what has no score, for repeats, and for zoom without --trials."""
    refuse_single(cfg)
    if cfg.data.leaky:
        fix = "leave it out, with pseudo labels and samples of networks that did not see the validation people"
        raise UsageError("a leaky run has no score to search by", where="data.leaky=true", fix=fix)
    if sampler == "zoom" and trials is None:
        fix = "give --trials: the space is narrowed after half of them, and after three quarters"
        raise UsageError("zoom needs the number of trials", where="--sampler zoom", fix=fix)
