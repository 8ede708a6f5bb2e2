"""maskcls config list: every option, or those that match some words."""

from __future__ import annotations

from dataclasses import replace

from maskcls.errors import UsageError, nearest
from maskcls.schema.options import Option, OptionSection, option_sections


def list_options(wanted: str | None) -> list[OptionSection]:
    """Return the options whose key begins with `wanted`, else those whose key or description contains it.

    Raises UsageError where nothing matches. Sections without a matching option are left out.
    """
    sections = option_sections()
    if wanted is None:
        return sections
    word = wanted.casefold()
    found = _kept(sections, [o for s in sections for o in s.options if _begins(o.key, word)])
    found = found or _kept(sections, [o for s in sections for o in s.options if word in f"{o.key} {o.help}".casefold()])
    if found:
        return found
    names = [name for s in sections for o in s.options for name in (s.name, o.key, o.key.rpartition(".")[2]) if name]
    near = nearest(wanted, names)
    raise UsageError(
        "no option matches",
        got=repr(wanted),
        expected="the beginning of a key, such as optim, or a word of a description",
        fix=f"did you mean {near!r}?" if near else "list all of them: maskcls config list",
    )


def _begins(key: str, word: str) -> bool:
    """Tell whether a key is in this section, or begins with this text: `optim.l` finds optim.lr, `data` no data2."""
    return key == word or key.startswith((f"{word}.", f"{word}[")) or ("." in word and key.startswith(word))


def _kept(sections: list[OptionSection], options: list[Option]) -> list[OptionSection]:
    kept = [replace(s, options=tuple(o for o in s.options if o in options)) for s in sections]
    return [section for section in kept if section.options]
