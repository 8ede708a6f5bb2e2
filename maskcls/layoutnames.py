"""Names of the data layouts a configuration may give as `data.format`.

`data/layouts/NAME.py` reads the layout of that name, and `layout_named` in `data/layouts/source.py` returns it.
`guess_layout` tries the names in this order.
"""

from __future__ import annotations

from typing import Literal

LayoutName = Literal["contest", "table"]
