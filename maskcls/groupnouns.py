"""Nouns for groups of photos, as text for people needs them: a person and people, a patient and patients.

`schema.group_noun` returns those of a configuration.
"""

from __future__ import annotations

Noun = tuple[str, str]  # of one group, and of several
PEOPLE: Noun = ("person", "people")
PHOTOS: Noun = ("photo", "photos")  # where every photo is a group of its own


def photos_of_more(noun: Noun) -> str:
    """Return what to collect.

    >>> photos_of_more(("patient", "patients")), photos_of_more(PHOTOS)
    ('photos of more patients', 'more photos')
    """
    return "more photos" if noun == PHOTOS else f"photos of more {noun[1]}"


def photos_of(noun: Noun) -> str:
    """Return photos of which groups.

    >>> photos_of(("patient", "patients")), photos_of(PHOTOS)
    ('photos of patients', 'photos')
    """
    return "photos" if noun == PHOTOS else f"photos of {noun[1]}"


def photos_of_other(noun: Noun) -> str:
    """Return photos of other groups.

    >>> photos_of_other(("patient", "patients")), photos_of_other(PHOTOS)
    ('photos of other patients', 'other photos')
    """
    return "other photos" if noun == PHOTOS else f"photos of other {noun[1]}"


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
