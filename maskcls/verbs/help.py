"""Verbs: their help shows the types of values in words, and an option that takes one value is given once."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from maskcls.errors import UsageError
from maskcls.machine import refuse_several
from maskcls.verbs.words import is_override

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


def refuse_twice(parameters: Iterable[Any]) -> None:
    """Raise UsageError for an option among those that were given, in order, which is there twice but takes one value.

    A flag without an opposite may be repeated: it says the same again.
    """
    given: set[str] = set()
    for one in parameters:
        if one.param_type_name == "argument" or one.multiple or (one.is_flag and not one.secondary_opts):
            continue
        if one.name in given:
            names = " or ".join([*one.opts, *one.secondary_opts])
            raise UsageError("an option is given twice", got=names, expected="one value", fix="give it once")
        given.add(one.name)


SEVERAL_PROCESSES = {"train", "resume", "predict", "pseudo-label", "tta", "unseal"}  # verbs that a launcher may start
SETTINGS = {"overrides", "words"}  # names of arguments: KEY=VALUE, alone or among others
ONE_RUN, RUNS = ("run", "what", "a"), ("runs", "others")  # names of arguments: a run folder; several


def refuse_settings(taken: Mapping[str, Any], extra: Iterable[str]) -> None:
    """Raise UsageError for settings given to a verb of a run that takes none.

    taken  the words of each argument by its name; extra: words after the last one.
    """
    several = [word for name in RUNS for word in taken.get(name) or ()]
    run = next((taken[name] for name in ONE_RUN if taken.get(name)), several[0] if several else None)
    if run is None or SETTINGS & taken.keys():
        return
    if given := [word for word in (*several, *extra) if not Path(word).exists() and is_override(word)]:
        from maskcls.rundir import RunDir

        settings = ["--config", str(RunDir(Path(run)).config), "--run", "NEW", *given]
        again = shlex.join(["maskcls", "train", "DATA", *settings])
        raise UsageError(
            "a run keeps the settings that it was trained with, and this verb takes none",
            got=" ".join(given),
            fix=f"leave them out; this trains a new run with them: {again}",
        )


def verb_path(context: Any) -> str:
    """Return the verb of a context as it is written after `maskcls`, such as "runs list"."""
    names: list[str] = []
    while context.parent is not None:  # the last one is the program, which has many names
        names.insert(0, context.info_name)
        context = context.parent
    return " ".join(names)


class _Verb(TyperCommand):
    def get_params(self, ctx: Any) -> list[Any]:
        return in_words(super().get_params(ctx), ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:  # while a shell completes a line, nothing is refused
            if (verb := verb_path(ctx)) not in SEVERAL_PROCESSES:
                refuse_several(f"maskcls {verb}")
            taken, extra, given = self.make_parser(ctx).parse_args(args=list(args))
            refuse_twice(given)
            refuse_settings(taken, extra)
        return super().parse_args(ctx, args)


class _Verbs(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:
        return in_words(super().get_params(ctx), ctx)


class VerbApp(typer.Typer):
    """An app of such verbs."""

    def __init__(self, **given: Any) -> None:
        super().__init__(cls=_Verbs, **given)

    def command(self, name: str | None = None, **given: Any) -> Callable[[F], F]:
        """Register a verb."""
        return super().command(name, cls=_Verb, **given)
