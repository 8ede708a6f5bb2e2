"""Print docs/reference.md: every verb with its arguments and options, and the exit codes, as the program defines them.

python docs/reference.py > docs/reference.md
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer.main

from maskcls import cli, errors
from maskcls.errors import Exit, MaskclsError
from maskcls.verbs.help import value_in_words

COMMAND = "python docs/reference.py > docs/reference.md"
INTRODUCTION = f"""<!-- Written by `{COMMAND}`. Do not edit it by hand. -->

# Verbs, options and exit codes

`maskcls VERB --help` prints the same. [The command line](cli.md) describes what all verbs have in common: settings,
`--json`, progress, older spellings. Settings such as `optim.lr=1e-4` are listed in [configuration](configuration.md).
"""
# Codes without an error type of their own -> when they are returned.
OTHER_CODES = {
    Exit.OK: "Done.",
    Exit.INTERNAL: "A bug in maskcls. The message names a file with the traceback.",
    Exit.INTERRUPTED: "Interrupted (Ctrl-C).",
    Exit.PIPE: "The reader of a pipe closed it.",
    Exit.TERMINATED: "Terminated (SIGTERM).",
}


def reference_page() -> str:
    """Return the whole page."""
    verbs = dict(leaves(typer.main.get_command(cli.app), ""))
    overview = ["## Overview", table(["verb", "what it does"], [[verb_link(n), summary(v)] for n, v in verbs.items()])]
    details = [part for name, verb in verbs.items() for part in verb_section(name, verb)]
    return "\n\n".join([INTRODUCTION.strip(), *exit_codes(), *overview, *details]) + "\n"


def leaves(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield each verb with its full name, such as "runs list"."""
    for name, verb in group.commands.items():
        if hasattr(verb, "commands"):
            yield from leaves(verb, f"{path}{name} ")
        elif not verb.hidden:
            yield path + name, verb


def exit_codes() -> list[str]:
    """Return the section of the exit codes: those of error types with the first line of their documentation."""
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, MaskclsError)]
    by_code = {kind.exit_code: (kind.code, first_line(kind)) for kind in kinds if kind is not MaskclsError}
    rows = [[str(int(code)), *by_code.get(code, ("", OTHER_CODES.get(code, "")))] for code in Exit]
    return [
        "## Exit codes",
        table(["code", "`error[…]`", "meaning"], [[a, f"`{b}`" if b else "", c] for a, b, c in rows]),
    ]


def first_line(kind: type) -> str:
    """Return the first line of a type's documentation."""
    return (inspect.getdoc(kind) or "").splitlines()[0]


def verb_section(name: str, verb: Any) -> list[str]:
    """Return the section of a verb: what it does, examples, arguments and options."""
    text, examples = help_parts(verb)
    context = verb.context_class(verb, info_name=f"maskcls {name}")
    shown = [p for p in verb.get_params(context) if not getattr(p, "hidden", False) and p.name != "help"]
    usage = re.sub(r"[{}]", "", " ".join(["maskcls", name, *verb.collect_usage_pieces(context)]))
    rows = [[spelling(p), values(p, context), default(p, context), escaped(p.help or "")] for p in shown]
    parts = [f"### `{name}`", text, f"Usage: `{usage}`"]
    parts += ["```\n" + "\n".join(examples) + "\n```"] if examples else []
    return [*parts, table(["argument or option", "values", "default", "meaning"], rows)]


def help_parts(verb: Any) -> tuple[str, list[str]]:
    r"""Return the text of a verb's help, and its examples: the lines of the paragraph that begins with \b."""
    prose, examples = [], []
    for paragraph in inspect.cleandoc(verb.help or "").split("\n\n"):
        if paragraph.lstrip().startswith("\b"):
            examples += [example(line) for line in paragraph.lstrip().removeprefix("\b").splitlines() if line.strip()]
        else:
            prose.append(escaped(" ".join(paragraph.split())))
    return "\n\n".join(prose), examples


def example(line: str) -> str:
    """Return a line of examples, with its remark as a comment.

    >>> example("maskcls resume runs/a --folds 3    (further folds)")
    'maskcls resume runs/a --folds 3  # further folds'
    """
    return re.sub(r"\s{2,}\((.*)\)$", r"  # \1", line.strip())


def summary(verb: Any) -> str:
    """Return the first sentence of a verb's help."""
    return re.split(r"(?<=[.;])\s", help_parts(verb)[0], maxsplit=1)[0].rstrip(";")


def verb_link(name: str) -> str:
    """Return a verb as a link to its section."""
    return f"[`{name}`](#{name.replace(' ', '-')})"


def spelling(parameter: Any) -> str:
    """Return how a parameter is written: an argument by its metavar, an option by its names."""
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`"
    return ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])


def values(parameter: Any, context: Any) -> str:
    """Return the values that a parameter takes; nothing for a flag or an argument."""
    if parameter.param_type_name == "argument" or getattr(parameter, "is_flag", False):
        return ""
    return escaped(value_in_words(parameter.display_type_rich(context) or ""))


def default(parameter: Any, context: Any) -> str:
    """Return the default of a parameter; nothing where there is none, or where it is off.

    The text that the help shows for it comes before the value: it is None where a verb asks whether it was given.
    """
    if parameter.required:
        return "required"
    shown = getattr(parameter, "show_default", None)
    value = shown if isinstance(shown, str) else parameter.get_default(context)
    return "" if value is None or value is False or value == () or value == [] else f"`{value}`"


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *rows])


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is: no columns, no emphasis, no tags, no marks of the help."""
    text = re.sub(r"\[/?(?:bold|dim|italic)\]", "", " ".join(text.split()))
    return re.sub(r"([|*<>])", r"\\\1", text)


if __name__ == "__main__":
    print(reference_page(), end="")
