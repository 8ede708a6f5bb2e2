"""Classes that examples are made of, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def classes_in_words(classes: Mapping[str, Sequence[str]]) -> str:
    """Return classes as text, such as `age >=60`; tasks are joined by "and", their classes by "or".

    >>> classes_in_words({"age": ("<30", ">=60"), "mask": ("wear",)})
    'age <30 or >=60 and mask wear'
    """
    return " and ".join(f"{task} {' or '.join(names)}" for task, names in classes.items()) or "no class"
