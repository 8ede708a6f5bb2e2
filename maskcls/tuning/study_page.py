"""The page about a search, written into its folder at the end."""

from __future__ import annotations

from maskcls import files
from maskcls.config.installed_extras import FIGURES, missing_extra
from maskcls.results.search.study import SearchStudy
from maskcls.show.tuning.page import study_page
from maskcls.tuning.claims import OpenStudy
from maskcls.tuning.winner import SearchResult

FEWEST_TRIALS = 6  # done ones, from which the importance of settings is computed


def write_study_page(opened: OpenStudy, result: SearchResult) -> str:
    """Write the page; returns why it cannot be written, "" if it is."""
    if lacking := missing_extra("report", needed_by="the page about a search", packages=FIGURES):
        return f"{lacking.what}: {lacking.fix}"
    html = study_page(result.study, score=result.score, importance=importance_of(opened, result.study))
    with opened.locked():
        files.commit(opened.folder.report, html.encode())
    return ""


def importance_of(opened: OpenStudy, study: SearchStudy) -> dict[str, float]:
    """Return the share of the differences in score that each setting explains (fANOVA, Hutter et al. 2014, ICML).

    Computed by Optuna; only settings that every done trial has. Empty with fewer than `FEWEST_TRIALS`, or without
    differences.
    """
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    scores = {one.score for one in study.done}
    done = [one for one in opened.trials if one.state.name == "COMPLETE" and one.params]
    if len(done) < FEWEST_TRIALS or len(scores) < 2:
        return {}
    shared = set.intersection(*(set(one.params) for one in done))
    varied = [key for key in sorted(shared) if len({repr(one.params[key]) for one in done}) > 1]
    if not varied:
        return {}
    found = get_param_importances(opened.study, evaluator=FanovaImportanceEvaluator(seed=0), params=varied)
    return {key: float(value) for key, value in found.items()}
