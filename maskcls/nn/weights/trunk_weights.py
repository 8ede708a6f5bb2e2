"""Load a file of weights into the trunk of a network, whole or not at all."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from maskcls import files
from maskcls.errors import WeightsError
from maskcls.nn.weights.file_kinds import JOIN
from maskcls.nn.weights.fitting_backbone import fitting_backbone
from maskcls.nn.weights.key_prefixes import (
    Shape,
    fitting_prefixes,
    further_blocks,
    matches_below,
    without_wrappers,
)
from maskcls.nn.weights.weights_file import PART, read_tensors

SHOWN_KEYS = 4
OTHER_BACKBONE = "choose the backbone these weights belong to (model.backbone, model.options), or other weights"
OPTIMIZER = re.compile(r"(.+\.)?state\.\d+\.\w+")  # a key of what an optimizer keeps for one tensor
OF_SIZE = re.compile(r"(.+\.)?(pos_embed|relative_position\w*|rel_pos\w*|attn_mask|attention_bias\w*)(\.\w+)?")


def load_trunk_weights(trunk: nn.Module, path: Path) -> str:
    """Load a local weights file into a trunk; return a sentence with the number of loaded and ignored keys.

    The file is read by `read_tensors`. It must have every tensor of the trunk with its shape, below one prefix, such as
    "model.backbone."; other keys, such as a head's, are ignored, but for blocks of a deeper network. Raises
    WeightsError.
    """
    wanted = trunk.state_dict()
    file = without_wrappers(read_tensors(path, most=_most_bytes(wanted)), wanted)
    found = _of_trunk(file, wanted, path)
    broken = [key for key in wanted if not torch.isfinite(found[key].float()).all()]
    if broken:
        raise WeightsError(
            "the weights contain NaN or infinity",
            where=str(path),
            offenders=broken,
            fix="use other weights, such as those of another epoch",
        )
    trunk.load_state_dict({key: found[key] for key in wanted})
    unused = sorted(found.keys() - wanted.keys())  # a file has no order of its own
    left = f"; left out: {', '.join(unused[:SHOWN_KEYS])}{' …' if len(unused) > SHOWN_KEYS else ''}" if unused else ""
    return f"{len(wanted)} of {len(wanted)} trunk tensors loaded from {path.name}{left}"


def save_alone(path: Path, prefix: str, new: Path) -> None:
    """Write the tensors of a file below one prefix, which is left out, as a new file of torch.

    Raises FileExistsError for a file that is there already.
    """
    if new.exists():
        raise FileExistsError(new)
    tensors = without_wrappers(read_tensors(path), ())
    alone = {key.removeprefix(prefix): one for key, one in tensors.items() if key.startswith(prefix)}
    torch.save(alone, data := io.BytesIO())
    files.commit(new, data.getvalue())


def _saved_alone(path: Path, prefix: str) -> str:
    """Return the command that saves the tensors of a file below one prefix as a file of their own, beside it."""
    alone = path.with_name(f"{path.stem}_{prefix.rstrip('.').replace('.', '_')}.pt")
    code = (
        "from pathlib import Path; from maskcls.nn.weights.trunk_weights import save_alone; "
        f"save_alone(Path({str(path)!r}), {prefix!r}, Path({str(alone)!r}))"
    )
    return shlex.join(["python", "-c", code])


def _most_bytes(wanted: Mapping[str, Tensor]) -> int:
    """Return the largest file that can be this trunk's: with optimizer state and averages, in another number format."""
    return (1 << 30) + 16 * sum(tensor.nbytes for tensor in wanted.values())


def _of_trunk(file: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Return the file's tensors by the trunk's keys, the others by their own.

    Raises WeightsError for tensors that are absent or of another shape, for blocks of a deeper network, and where
    several prefixes fit.
    """
    shapes, own = _shapes(file), _shapes(wanted)
    matches = matches_below(shapes, own)
    prefix = next(iter(matches), "")
    fitting = fitting_prefixes(matches, len(own))
    if len(fitting) > 1 and matches[prefix] == len(wanted):
        raise WeightsError(
            "the file holds several networks that these could be",
            where=str(path),
            got="keys below " + " and below ".join(f"{one!r} ({matches[one]} of {len(wanted)})" for one in fitting),
            fix=f"save the one you want alone, such as that below {prefix!r}: {_saved_alone(path, prefix)}",
        )
    found = {key.removeprefix(prefix): tensor for key, tensor in file.items()}
    wrong = [f"{key} is absent" for key in wanted if key not in found]
    wrong += [
        f"{key} has shape {tuple(found[key].shape)}, not {shape}"
        for key, shape in own.items()
        if key in found and found[key].shape != shape
    ]
    if wrong:
        raise _unfitting(path, shapes, own, wrong, prefix)
    below = [key.removeprefix(prefix) for key in file if key.startswith(prefix)]
    if blocks := further_blocks(below, wanted):
        raise WeightsError(
            "the file is of a deeper network than the backbone",
            where=str(path),
            offenders=[f"{block} is not in the backbone" for block in blocks],
            fix=_other_backbone(path, shapes),
        )
    return found


def _unfitting(
    path: Path, shapes: Mapping[str, Shape], own: Mapping[str, Shape], wrong: Sequence[str], prefix: str
) -> WeightsError:
    """Return the error about tensors that a file does not have, or has with other shapes."""
    if shapes and all(OPTIMIZER.fullmatch(key) for key in shapes):
        return WeightsError(
            "the file holds the state of an optimizer, and no network",
            where=str(path),
            got=f"keys of the file: {_shown_keys(sorted(shapes))}",
            fix="give the file of the network's weights, which was saved beside it",
        )
    if any(".lora_" in key for key in shapes):
        fix = "where it was made, merge the adapter into its network, and save that one's state_dict()"
    elif PART.search(path.name):
        fix = JOIN
    elif all(OF_SIZE.fullmatch(one.partition(" ")[0]) and " has shape " in one for one in wrong):
        other = _other_backbone(path, shapes)
        fix = f"the weights are for images of another size: set transforms.size to that size; {other}"
    else:
        fix = _other_backbone(path, shapes)
    below = f" below {prefix!r}" if prefix else ""
    return WeightsError(
        f"{len(wrong)} of the trunk's {len(own)} tensors do not match the file",
        where=str(path),
        got=f"{len(own) - len(wrong)} match{below}; keys of the file: {_shown_keys(sorted(shapes))}",
        expected=f"keys of the trunk: {_shown_keys(own)}; before them any one prefix",
        offenders=wrong,
        fix=fix,
    )


def _other_backbone(path: Path, shapes: Mapping[str, Shape]) -> str:
    """Return the advice to choose another backbone, with the settings of one that the file fits if it is known."""
    known = fitting_backbone(path, shapes)
    return f"the weights fit {known}: choose that, or other weights" if known else OTHER_BACKBONE


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, Shape]:
    return {key: tuple(tensor.shape) for key, tensor in tensors.items()}


def _shown_keys(keys: Collection[str]) -> str:
    return ", ".join(list(keys)[:SHOWN_KEYS]) + (" …" if len(keys) > SHOWN_KEYS else "")
