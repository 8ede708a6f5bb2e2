"""How much of the best trial's score is due to choosing it on the rows that score it.

Reference: Tsamardinos, Greasidou and Borboudakis 2018, Machine Learning 107, arXiv:1708.07180 (BBC-CV). People are
drawn with replacement; the trial that is best on those drawn is scored on those that were not drawn, who took no part
in the choice. People, not rows, because the photos of one person are similar.

A score on part of the people is taken to first order, from how much each person moves the score on all of them
(`influence`). The macro-F1 of those left out would itself be that of a third of the people, with rare classes missing.

T trials, P people, D draws.
"""

from __future__ import annotations

import numpy as np

from maskcls.results.scores.metrics import Doubles
from maskcls.results.scores.person_bootstrap import resamples

DRAWS = 2000


def excess_of_choice(score_T: Doubles, effect_TP: Doubles, *, draws: int = DRAWS, seed: int = 0) -> float:
    """Return how much higher the best trial scores here than a trial chosen so does on people left out; 0 or more.

    score_T    (T,) macro-F1 on all people.
    effect_TP  (T, P) what each person adds to it, to first order.

    0 for a single trial, for trials with equal answers, and for fewer than two people.

    >>> each_knows_one = np.array([[0.1, -0.1], [-0.1, 0.1]])  # 0.2 higher on one person, 0.2 lower on the other
    >>> round(excess_of_choice(np.array([0.5, 0.5]), each_knows_one), 2)
    0.2
    """
    trials, people = effect_TP.shape
    if trials == 1 or people < 2:
        return 0.0
    effect_PT = effect_TP.T
    chosen_T, among_T, gained, used = np.zeros(trials), np.zeros(trials), 0.0, 0
    for weight_DP in resamples(people, draws, seed):
        left_DP = (weight_DP == 0).astype(np.float64)
        some_D = left_DP.any(axis=1)  # of few people, a draw may take all
        left_DP, weight_DP = left_DP[some_D], weight_DP[some_D]
        best_D = (score_T + weight_DP @ effect_PT).argmax(axis=1)
        out_DT = (left_DP @ effect_PT) * (people / left_DP.sum(axis=1, keepdims=True))
        chosen_T += np.bincount(best_D, minlength=trials)
        among_T += out_DT.sum(axis=0)
        gained += float(out_DT[np.arange(len(best_D)), best_D].sum())
        used += len(best_D)
    # The draws' own mean is taken off: it is 0 for endless draws.
    share_T = chosen_T / used
    elsewhere = float(share_T @ score_T) + (gained - float(share_T @ among_T)) / used
    return max(0.0, float(score_T.max()) - elsewhere)
