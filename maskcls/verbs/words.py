"""Separate overrides from paths where a verb takes several of both: `RUN RUN predict.batch_size=32`."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from maskcls.errors import UsageError
from maskcls.verbs.options import answering

KEY = re.compile(r"[A-Za-z_]\w*(\.[\w-]+)*")


def split_words(words: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Return the paths and the overrides among words; of a folder of stages, the path of the one that answers.

    `KEY=VALUE` is an override if KEY begins with a section of the configuration, or is dotted and no such path exists;
    every other word is a path, such as `runs/lr=1` or `a=1`. Raises UsageError if such an override exists as a path.
    """
    paths: list[str] = []
    overrides: list[str] = []
    for word in words or []:
        (overrides if is_override(word) else paths).append(word)
    return [str(answering(Path(path))) if os.path.isdir(path) else path for path in paths], overrides


def is_override(word: str) -> bool:
    """Tell whether a word sets a key of the configuration; see `split_words`."""
    key, equals, _ = word.partition("=")
    if not equals or not KEY.fullmatch(key):
        return False
    from maskcls.schema import Config

    known, exists = key.split(".")[0] in Config.model_fields, Path(word).exists()
    if known and exists:
        raise UsageError("both an override and a path", got=word, fix=f"for the path, write ./{word}")
    return known or ("." in key and not exists)
