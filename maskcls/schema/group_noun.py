"""What the groups of a data set are called in output: people, patients, groups or photos."""

from __future__ import annotations

import re
from typing import assert_never

from maskcls.groupnouns import PEOPLE, PHOTOS, Noun
from maskcls.schema.root import Config

WORD = re.compile(r"[a-z]{3,}|[A-Z][a-z]{2,}|[A-Z]{3,}")
IRREGULAR = {"person": "people", "child": "children", "man": "men", "woman": "women"}


def group_noun(cfg: Config) -> Noun:
    """Return the noun for one group of a data set and for several, from `data.format` and `data.group`.

    The configuration of a run names the column that `auto` stood for, so the noun fits the table it was trained on.

    contest                                     person, people
    table, a column; folders, a named group     the name as a noun: patient, patients
    table, auto; folders, a regular expression  group, groups
    every photo alone                           photo, photos
    """
    group = cfg.data.group
    match cfg.data.format:
        case "contest":
            return PEOPLE
        case "folders":
            named = None if group in ("auto", "none") else next(iter(re.compile(group).groupindex), "group")
            return PHOTOS if named is None else _noun(named)
        case "table":
            named = "group" if group == "auto" else group
            return PHOTOS if group == "none" else _noun(named)
        case unknown:
            assert_never(unknown)


def _noun(name: str) -> Noun:
    """Return a name as a singular and a plural noun; one that is no English singular is followed by "group".

    >>> _noun("Family"), _noun("patient_id"), _noun("patients")
    (('family', 'families'), ('patient_id group', 'patient_id groups'), ('patients group', 'patients groups'))
    """
    word = name.lower()
    if not WORD.fullmatch(name) or re.search(r"[^s]s$", word):
        return f"{name} group", f"{name} groups"
    if word in IRREGULAR:
        return word, IRREGULAR[word]
    if re.search(r"[^aeiou]y$", word):
        return word, f"{word[:-1]}ies"
    return word, word + ("es" if re.search(r"(s|x|z|ch|sh)$", word) else "s")
