"""Options of the configuration: list them, resolve them, write a JSON schema for editors."""

from __future__ import annotations

from typing import Annotated

import typer

from maskcls.errors import UsageError
from maskcls.verbs.help import VerbApp
from maskcls.verbs.older import current, current_config
from maskcls.verbs.options import Config, Json, Overrides

app = VerbApp(no_args_is_help=True, help="List options, and show what a configuration resolves to.")


@app.command("list")
def config_list(
    prefix: Annotated[
        str | None,
        typer.Argument(
            metavar="PREFIX", help="a section or the start of a key, such as optim, or any word", show_default=False
        ),
    ] = None,
    json: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="print the page docs/configuration.md")] = False,
) -> None:
    """List all options with description, default and allowed values.

    \b
    maskcls config list
    maskcls config list schedule
    maskcls config list dropout
    """
    from maskcls.commands.config.list import list_options

    if markdown and (json or prefix is not None):
        raise UsageError("--markdown prints the whole page", fix="leave out --json and PREFIX")
    sections = list_options(prefix)
    if markdown:
        from maskcls.show.config_page import print_reference_page

        print_reference_page(sections)
        return
    from maskcls.show.config import print_options

    print_options(sections, json=json)


@app.command("show")
def config_show(
    overrides: Overrides = None,
    config: Config = None,
    yaml: Annotated[bool, typer.Option("--yaml", help="print a file that --config takes")] = False,
    json: Json = False,
) -> None:
    """Print the resolved configuration, with the origin of each value.

    \b
    maskcls config show --config multi optim.lr=1e-4
    maskcls config show --config multi --config mine.yaml --yaml > whole.yaml
    """
    from maskcls.commands.config.show import resolve

    if yaml and json:
        raise UsageError("--yaml and --json are two forms of the same output", fix="give one of them")
    found = resolve(config, current(overrides))
    cfg = current_config(found.cfg, found.origins)
    for line in found.unused:
        typer.echo(line, err=True)
    from maskcls.show.config import print_settings, print_settings_file

    if yaml:
        print_settings_file(cfg)
    else:
        print_settings(cfg, found.origins, json=json)


@app.command("schema")
def config_schema() -> None:
    """Print a JSON schema of configuration files, for completion and checks in an editor.

    \b
    maskcls config schema > maskcls.schema.json
    """
    from maskcls.commands.config.schema import editor_schema
    from maskcls.show.config import print_schema

    print_schema(editor_schema())
