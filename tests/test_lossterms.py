"""Losses as text: what is read, and what is refused with which words."""

from __future__ import annotations

import pytest

from maskcls.lossterms import KINDS, Term, parse_loss

GOOD = {
    "ce": (Term("ce"),),
    " ce + f1 ": (Term("ce"), Term("f1")),
    "0.3*ce+0.7*f1": (Term("ce", 0.3), Term("f1", 0.7)),
    "focal+smooth+f1": (Term("focal"), Term("smooth"), Term("f1")),
    "focal(gamma=1.5)": (Term("focal", gamma=1.5),),
    "1e-1*smooth(epsilon=0.05, weights=inverse)": (Term("smooth", 0.1, epsilon=0.05, weights="inverse"),),
    "ce(weights=effective,beta=0.99)": (Term("ce", weights="effective", beta=0.99),),
    "la(tau=0.5)+f1": (Term("la", tau=0.5), Term("f1")),
    "bce": (Term("bce"),),
}
BAD = {
    "": "'' is not a term",
    "focl": "did you mean 'focal'?",
    "ce+": "'' is not a term",
    "ce ce": "'cece' is not one of them",
    "ce(": "is not a term",
    "0*ce": "the factor more than 0",
    "-1*ce": "the factor more than 0",
    "x*ce": "is not a term",
    "focal(gama=2)": "did you mean 'gamma'?",
    "focal(gamma)": "gamma=value once",
    "focal(gamma=1,gamma=2)": "gamma=value once",
    "focal(gamma=x)": "gamma at least 0 and at most 10",
    "focal(gamma=-1)": "gamma at least 0 and at most 10",
    "focal(gamma=nan)": "gamma at least 0 and at most 10",
    "smooth(epsilon=1)": "epsilon at least 0 and less than 1",
    "smooth(gamma=1)": "epsilon, weights, beta in smooth(…)",
    "f1(gamma=1)": "f1 without settings",
    "ce(weights=invers)": "did you mean 'inverse'?",
    "ce(beta=0.9)": "beta only with weights=effective",
    "ce+ce": "every kind of loss occurs once",
    "bce+f1": "bce alone",
    "la+ce": "la without ce, smooth or focal",
    "la(tau=6)": "tau at least 0 and at most 5",
}


def test_the_kinds() -> None:
    assert list(KINDS) == ["ce", "smooth", "focal", "f1", "bce", "la"]


@pytest.mark.parametrize("text", GOOD)
def test_good_text_is_read(text: str) -> None:
    assert parse_loss(text) == GOOD[text]


@pytest.mark.parametrize("text", BAD)
def test_bad_text_is_refused_with_what_would_do(text: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 the words are what matters
        parse_loss(text)
    assert BAD[text] in str(caught.value)
