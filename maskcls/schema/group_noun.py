"""What the groups of a data set are called in output: people, patients, groups or photos."""

from __future__ import annotations

import re

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
    layout, group = cfg.data.format, cfg.data.group
    if layout == "contest":
        return PEOPLE
    if group == "none" or (layout == "folders" and group == "auto"):
        return PHOTOS
    if layout == "folders":
        return _noun(next(iter(re.compile(group).groupindex), "group"))
    return _noun("group" if group == "auto" else group)


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
