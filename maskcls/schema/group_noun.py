"""What the groups of a data set are called in output: people, patients, groups or photos."""

from __future__ import annotations

import re

from maskcls.schema.root import Config

Noun = tuple[str, str]  # of one group, and of several
PEOPLE: Noun = ("person", "people")
PHOTOS: Noun = ("photo", "photos")  # where every photo is a group of its own
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


def photos_of_more(noun: Noun) -> str:
    """Return what to collect.

    >>> photos_of_more(("patient", "patients")), photos_of_more(PHOTOS)
    ('photos of more patients', 'more photos')
    """
    return "more photos" if noun == PHOTOS else f"photos of more {noun[1]}"


def possessive(many: str) -> str:
    """Return whose.

    >>> possessive("people"), possessive("patients")
    ("people's", "patients'")
    """
    return f"{many}'" if many.endswith("s") else f"{many}'s"


def rows_or(noun: Noun) -> Noun:
    """Return row and rows where every photo is a group of its own, so that no text says "one photo of two photos"."""
    return ("row", "rows") if noun == PHOTOS else noun


def with_article(one: str) -> str:
    """Return a noun with its article.

    >>> with_article("patient"), with_article("animal")
    ('a patient', 'an animal')
    """
    return f"an {one}" if one[:1] in "aeiou" else f"a {one}"


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
