"""The trials of a study: which count, and in which order."""

from maskcls.results.search.study import SearchStudy, SearchTrial, trial_scores

TRIALS = (
    SearchTrial(0, "done", {}, 0.5),
    SearchTrial(1, "pruned", {}, 0.9),
    SearchTrial(2, "done", {}, 0.6),
    SearchTrial(3, "failed", {}, why="no memory"),
    SearchTrial(4, "done", {}, 0.6),
    SearchTrial(5, "running", {}),
)


def test_only_done_trials_are_ranked_and_of_equals_the_first_comes_first() -> None:
    study = SearchStudy("a", "tpe", (), TRIALS)
    assert [one.number for one in study.ranked] == [2, 4, 0]
    assert study.best is TRIALS[2]
    assert [study.count(state) for state in ("done", "pruned", "failed", "running")] == [3, 1, 1, 1]


def test_a_study_without_a_done_trial_has_no_best() -> None:
    study = SearchStudy("a", "random", (), TRIALS[1:2])
    assert study.best is None
    assert study.ranked == ()


def test_scores_leave_out_trials_without_one() -> None:
    assert trial_scores(TRIALS) == [0.5, 0.9, 0.6, 0.6]
