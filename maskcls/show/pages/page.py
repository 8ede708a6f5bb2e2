"""Render a page from a template, and write it: one HTML file that needs no other file and no network.

The Content-Security-Policy forbids every request and every script but the page's own, which it names by hash. All text
is escaped by Jinja. Templates extend `base.html.j2` and have the macros of `macros.html.j2`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskcls import __version__, files
from maskcls.show.pages import palette
from maskcls.show.pages.figure import to_svg

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = package_files("maskcls.show.pages") / "templates"


def render_page(
    template: str, *, title: str, script: str = "", data: Any = None, allowed: str = "", **values: Any
) -> str:
    """Return the HTML of `<template>.html.j2`.

    title   of the page: the browser's tab and the first heading.
    script  name of a JavaScript file in the folder of templates, without its ending; runs after the page's own script.
    data    plain data for the script: the JSON text of the element with the id `data`.
    allowed  a directive of the Content-Security-Policy for what the page may do besides.
    values  what the template uses; a name that it uses and that is not given raises jinja2.UndefinedError.
    """
    code = _text("page.js") + (_text(f"{script}.js") if script else "")
    return (
        _environment()
        .get_template(f"{template}.html.j2")
        .render(
            title=title,
            code=_markup(code),
            policy=_policy(code, allowed),
            css=_markup(f":root{{{palette.css_variables()}}}\n{_text('style.css')}"),
            data=None if data is None else _markup(_json_in_html(data)),
            version=__version__,
            **values,
        )
    )


def write_page(path: Path, html: str, *, force: bool) -> None:
    """Write a page; raises what `files.commit_outputs` raises."""
    files.commit_outputs([files.OutputFile(path, html.encode())], force=force)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("maskcls.show.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["svg"] = lambda figure: _markup(to_svg(figure))
    return made


def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _markup(text: str) -> str:
    from markupsafe import Markup

    return Markup(text)  # our own files, or escaped below


def _policy(code: str, allowed: str) -> str:
    """Return the Content-Security-Policy of a page with this one script, and what it may do besides."""
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    own = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return f"{own}; {allowed}" if allowed else own


def _json_in_html(data: Any) -> str:
    """Return JSON that cannot end the <script> element around it."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
