"""How the help shows the values of options: by words, not by the names of Python's types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

F = TypeVar("F", bound=Callable[..., Any])
WORDS = {"bool": "", "str": "TEXT", "int": "NUMBER", "float": "NUMBER", "Path": "PATH", "path": "PATH"}


def value_in_words(shown: str) -> str:
    """Return what typer shows of the type of a value in words; nothing for a flag, which takes no value.

    >>> [value_in_words(shown) for shown in ("<list[str]>", "<path>", "<short|all>", "<bool>")]
    ['TEXT', 'PATH', 'short|all', '']
    """
    inner = shown.removeprefix("<").removesuffix(">").removeprefix("list[").removesuffix("]").removesuffix(" range")
    return WORDS.get(inner, inner)


def in_words(parameters: list[Any], context: Any) -> list[Any]:
    """Return the parameters of a verb with the types of their values in words; an argument is named already."""
    for one in parameters:
        # Typer has no option for this: it asks each parameter for the text.
        text = "" if one.param_type_name == "argument" else value_in_words(one.display_type_rich(context) or "")
        vars(one)["display_type_rich"] = lambda ctx, text=text: text
    return parameters


class _Verb(TyperCommand):
    def get_params(self, ctx: Any) -> list[Any]:
        return in_words(super().get_params(ctx), ctx)


class _Verbs(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:
        return in_words(super().get_params(ctx), ctx)


class VerbApp(typer.Typer):
    """An app whose help shows types in words."""

    def __init__(self, **given: Any) -> None:
        super().__init__(cls=_Verbs, **given)

    def command(self, name: str | None = None, **given: Any) -> Callable[[F], F]:
        """Register a verb."""
        return super().command(name, cls=_Verb, **given)
