"""Which failure explains the others."""

from __future__ import annotations

from maskcls.results.diagnosis.finding import CHECKS, Finding, first_cause


def test_the_earliest_failure_of_the_training_path_is_the_cause() -> None:
    late, early = Finding("baselines", "fail", "", "late"), Finding("inputs", "fail", "", "early")
    assert first_cause([late, early, Finding("split", "unknown", "")]) == early
    assert first_cause([Finding("split", "pass", ""), Finding("labels", "unknown", "")]) is None


def test_every_check_has_a_meaning_and_usual_causes() -> None:
    assert len(CHECKS) == 14
    assert all(one.meaning and one.causes for one in CHECKS.values())
    assert [name for name, one in CHECKS.items() if one.trains] == [
        *("shuffled labels", "baselines", "rare classes", "errors", "learning curve")
    ]
