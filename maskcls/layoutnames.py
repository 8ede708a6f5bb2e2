"""Names of the data layouts a configuration may give as `data.format`.

`layout_named` in `data/layouts/source.py` returns the layout of a name. Its reader is `data/layouts/NAME.py`, and
`data/layouts/class_folders.py` for folders.
`guess_layout` tries the names in this order.
"""

from __future__ import annotations

from typing import Literal

LayoutName = Literal["contest", "folders", "table"]
