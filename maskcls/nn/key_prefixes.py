"""Which tensors of a file are a network's, when wrappers have written names before its own names.

`torch.compile`, data parallel training and frameworks put prefixes before the keys of a state dict, in any order.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

V = TypeVar("V")

# Names that wrappers put anywhere in a key, also before the name of a part; they are never a network's own.
WRAPPERS = frozenset({"_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})


def without_wrappers(tensors: Mapping[str, V], wanted: Collection[str]) -> dict[str, V]:
    """Remove the names of wrappers from the keys, unless the network has them too, or two keys would become one.

    >>> without_wrappers({"module.stem._orig_mod.weight": 1}, ["stem.weight"])
    {'stem.weight': 1}
    """
    own = {part for key in wanted for part in key.split(".")}
    removed = WRAPPERS - own
    plain = {".".join(part for part in key.split(".") if part not in removed): value for key, value in tensors.items()}
    return plain if len(plain) == len(tensors) else dict(tensors)


def fitting_prefixes(keys: Collection[str], wanted: Collection[str]) -> list[str]:
    """Return every prefix, such as "model.backbone.", with which most of the wanted keys are there; "" is one, too.

    The prefixes are sorted; none is returned when no wanted key is there with any prefix.

    >>> fitting_prefixes(["model.a", "model.b", "ema.a", "ema.b", "head"], ["a", "b"])
    ['ema.', 'model.']
    >>> fitting_prefixes(["x.a", "b"], ["a", "b", "c"])
    ['', 'x.']
    """
    there, counts = set(keys), dict[str, int]()
    tails = set(wanted)
    for key in there:
        for start in (0, *(place + 1 for place, sign in enumerate(key) if sign == ".")):
            if key[start:] in tails:
                counts[key[:start]] = counts.get(key[:start], 0) + 1
    most = max(counts.values(), default=0)
    return sorted(prefix for prefix, count in counts.items() if count == most)
