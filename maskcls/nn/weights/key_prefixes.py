"""Which tensors of a file are a network's, when wrappers have written names before its own names.

`torch.compile`, data parallel training and frameworks put prefixes before the keys of a state dict, in any order.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

V = TypeVar("V")
Shape = tuple[int, ...]

# Names that wrappers put anywhere in a key, also before the name of a part; they are never a network's own.
WRAPPERS = frozenset({"_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
FITS = 0.5  # of a network's tensors; a prefix with fewer belongs to another one, which shares some names and shapes


def without_wrappers(tensors: Mapping[str, V], wanted: Collection[str]) -> dict[str, V]:
    """Remove the names of wrappers from the keys, unless the network has them too, or two keys would become one.

    >>> without_wrappers({"module.stem._orig_mod.weight": 1}, ["stem.weight"])
    {'stem.weight': 1}
    """
    own = {part for key in wanted for part in key.split(".")}
    removed = WRAPPERS - own
    plain = {".".join(part for part in key.split(".") if part not in removed): value for key, value in tensors.items()}
    return plain if len(plain) == len(tensors) else dict(tensors)


def matches_below(shapes: Mapping[str, Shape], wanted: Mapping[str, Shape]) -> dict[str, int]:
    """Return how many wanted tensors are there, with their shape, below each prefix such as "model."; "" is one, too.

    The prefix with the most comes first, of equal ones the shortest. One below which only names agree has 0.

    >>> matches_below({"model.a": (2,), "model.b": (3,), "ema.a": (2,), "ema.b": (9,)}, {"a": (2,), "b": (3,)})
    {'model.': 2, 'ema.': 1}
    """
    counts = dict[str, int]()
    for key, shape in shapes.items():
        for start in (0, *(place + 1 for place, sign in enumerate(key) if sign == ".")):
            if (own := wanted.get(key[start:])) is not None:
                counts[key[:start]] = counts.get(key[:start], 0) + (own == shape)
    return dict(sorted(counts.items(), key=lambda one: (-one[1], len(one[0]), one[0])))


def fitting_prefixes(matches: Mapping[str, int], wanted: int) -> list[str]:
    """Return the prefixes below which a network of this kind is, whole or with some tensors damaged; the fullest first.

    matches  from `matches_below`. wanted: the number of the network's tensors.

    >>> a = {"a": (2,), "b": (3,)}
    >>> file = {f"{name}.{key}": shape for name in ("ema", "model") for key, shape in a.items()}
    >>> fitting_prefixes(matches_below(file, a), 2)
    ['ema.', 'model.']
    >>> fitting_prefixes(matches_below({"x.b": (3,), "y.b": (3,)}, a | {"c": (4,)}), 3)
    []
    """
    return [prefix for prefix, count in matches.items() if count > FITS * wanted]


def further_blocks(left: Collection[str], wanted: Collection[str]) -> list[str]:
    """Return blocks such as "layer1.2" among keys that a network does not have, which continue its own blocks.

    A block has a number behind those of the network, and tensors of the same names as one of them. A layer alone,
    such as a head's last, is none.

    >>> further_blocks(["layer1.1.conv.weight", "head.3.weight"], ["layer1.0.conv.weight", "head.0.weight"])
    ['layer1.1']
    """
    own, more = _blocks(wanted), _blocks(left)
    return sorted(
        f"{parent}.{number}"
        for parent, blocks in more.items()
        for number, names in blocks.items()
        if parent in own and number > max(own[parent]) and names in own[parent].values()
    )


def _blocks(keys: Collection[str]) -> dict[str, dict[int, set[str]]]:
    """Return the names of tensors within blocks, by the name of their list and their number in it."""
    found: dict[str, dict[int, set[str]]] = {}
    for key in keys:
        parts = key.split(".")
        for place in range(1, len(parts) - 2):  # two names at least behind the number: a module, and its tensor
            if parts[place].isdecimal():
                block = found.setdefault(".".join(parts[:place]), {}).setdefault(int(parts[place]), set())
                block.add(".".join(parts[place + 1 :]))
    return found
