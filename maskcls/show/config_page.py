"""docs/configuration.md: how a configuration is put together, and a table of all options."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from maskcls.config.overrides import written
from maskcls.schema.options import NONE, OptionSection
from maskcls.show.terminal.text import say_whole

COMMAND = "maskcls config list --markdown"
INTRODUCTION = f"""<!-- Written by `{COMMAND} > docs/configuration.md`. Do not edit it by hand. -->

# Configuration

Every option has a default. A configuration file is a YAML file with the options that differ from it:

```yaml
model: {{heads: multi, backbone: resnet34}}
optim: {{lr: 1e-3}}
train: {{epochs: 10}}
```

| command | what it does |
|---|---|
| `maskcls config list [PREFIX]` | lists all options, or those that begin with a key or contain a word |
| `maskcls config show --config FILE` | prints every value and its origin; `--yaml` prints a file for `--config` |
| `maskcls config schema` | prints a JSON schema for editors |

## Where values come from

From lowest to highest; a higher one wins:

1. the defaults on this page
2. the files given with `--config`, in their order; before each of them, the file that it names as its `base`
3. `key=value` on the command line

`--config` takes a path or the name of a shipped file, such as `multi`. It can be given several times: `--config
multi --config mine.yaml` uses `multi` with the changes of `mine.yaml`. The name of the last file is the default name
of the run.

A file can name another file that it builds on, as a path relative to itself or as a shipped name:

```yaml
base: multi
train: {{epochs: 10}}
```

A base can have a base. Two files cannot be based on each other. If several files have the same base, it is applied
once, before the first of them. The `config.yaml` of a run holds every value and no base.

Sections and mappings are merged key by key. Lists and single values are replaced: `tasks` of a higher file replaces
the whole list. `separate`, `model.options`, `balance.weights` and `mix.partner_classes` can be emptied with `{{}}`, for
example `--config multi separate={{}}`. A key cannot be removed, but it can be set to its default. A key may be written
with dots in a file too: `optim.lr: 1e-3` is the same as `optim: {{lr: 1e-3}}`.

`transforms.preset` sets many options together. It replaces what lower files set for these options. Options set in the
same file as the preset, or higher, win over it.

An unknown key is an error that names the nearest known key. A setting without effect, such as `mix.alpha` with
`mix.kind=none`, causes a warning, unless a higher file or the command line switched it off.

## Help in the editor

The JSON schema gives completion, descriptions and checks while you write. For VS Code with the YAML extension by Red
Hat:

```
maskcls config schema > maskcls.schema.json
```

Then begin each configuration file with the path of that file:

```yaml
# yaml-language-server: $schema=maskcls.schema.json
base: multi
```

Other editors with a YAML language server read the same line.

## Options
"""


def reference_page(sections: Sequence[OptionSection]) -> str:
    """Write the whole page as Markdown."""
    return "\n".join([INTRODUCTION, *(line for section in sections for line in _section(section))]).rstrip("\n") + "\n"


def _section(section: OptionSection) -> Iterator[str]:
    yield from (f"### {section.name}", "", section.help, "") if section.name else ("### In no section", "")
    yield from ("| option | default | values | meaning |", "|---|---|---|---|")
    for option in section.options:
        default = "required" if option.default is NONE else f"`{written(option.default)}`"
        cells = (f"`{option.key}`", default, option.allowed, option.help)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


def print_reference_page(sections: Sequence[OptionSection]) -> None:
    """Print the page."""
    say_whole(reference_page(sections))
