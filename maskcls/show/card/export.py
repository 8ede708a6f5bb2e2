"""The card's sections about an exported file: how to load it, and what 8 bits cost."""

from __future__ import annotations

from maskcls.groupnouns import PHOTOS
from maskcls.results.comparison.int8_cost import Int8Measured
from maskcls.results.comparison.parity import Parity
from maskcls.results.comparison.rows import JOINT
from maskcls.show.answers.int8 import int8_table, speed_line
from maskcls.show.card.markdown import bullets, section, table_markdown
from maskcls.show.terminal.text import plural

INPUT = "Photos are uint8 (B, H, W, 3), RGB, upright, of any size; those of one call have one size."


def onnx_part(name: str, parity: Parity | None) -> str:
    """Return how to load an ONNX file, and how it compares with the run."""
    code = f"""```python
import numpy, onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession("{name}")
photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")
probabilities, = session.run(["joint"], {{"photos": numpy.asarray(photo)[None]}})
```"""
    text = "Other outputs: probabilities by task, and the chosen class by TASK_class and joint_class."
    return section("How to load it", INPUT, code, text, parity_sentence(parity))


def torch_part(name: str, parity: Parity | None) -> str:
    """Return how to load a file of torch.export, and how it compares with the run."""
    code = f"""```python
import numpy, torch
from PIL import Image, ImageOps

model = torch.export.load("{name}").module()
photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")
found = model(torch.from_numpy(numpy.array(photo))[None])
```"""
    text = "The result is a dict: probabilities by task and `joint`, and the chosen class by TASK_class."
    return section("How to load it", INPUT, code, text, parity_sentence(parity))


def folder_part(first: str) -> str:
    """Return how to load a folder of checkpoints; first: the name of a network."""
    code = f"""```python
from load import NETWORKS, load

logits = load("{first}")(images)
```"""
    text = (
        "In this folder, with torch, timm and safetensors. The result is a dict of logits by head. `config.json` says "
        "how images are prepared, what each output means, and how probabilities are combined. Test-time views, the "
        "decision rule and the average over networks are not part of the checkpoints."
    )
    return section("How to load it", code, text)


def int8_part(found: Int8Measured) -> str:
    """Return what 8 bits cost, and gain."""
    cost = found.cost
    of = "" if cost.noun == PHOTOS else f" of held-out {cost.noun[1]}"
    held_out = "held-out photo" if cost.noun == PHOTOS else "photo"
    lines = [
        f"measured on {plural(cost.photos, held_out)}{of}, each with the network of its fold: once in "
        "float, once in 8 bits",
        f"ranges of each fold: from {plural(cost.calibration, 'photo')} of its own training {cost.noun[1]}",
        f"photos with the same joint class: {cost.same[JOINT]:.2%}",
        speed_line(found.speed),
        f"bytes in float: {found.float_bytes:,}",
    ]
    return section("8 bits", bullets(lines), table_markdown(int8_table(cost)))


def parity_sentence(parity: Parity | None) -> str:
    """Return how an exported file compares with the run; "" where it was not compared."""
    if parity is None:
        return ""
    return (
        f"Compared with the run on {plural(parity.photos, 'photo')}: probabilities differ by up to "
        f"{parity.max_dp:.1e}, {parity.decisions} have another class."
    )
