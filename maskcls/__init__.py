"""Train multi-task face classifiers (mask, gender, age) and write a checked submission.

    import maskcls

    model = maskcls.load("runs/a")
    print(model.predict(["photo.jpg"]).frame())

docs/api.md describes the functions. They are loaded when they are first used.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers take it as true; typing is not imported, so that an interrupt is heard early
if TYPE_CHECKING:
    from typing import Any

    from maskcls.api import Evaluation as Evaluation
    from maskcls.api import MaskclsError as MaskclsError
    from maskcls.api import Model as Model
    from maskcls.api import Predictions as Predictions
    from maskcls.api import ensemble as ensemble
    from maskcls.api import evaluate as evaluate
    from maskcls.api import load as load
    from maskcls.api import train as train

__version__ = "0.2.0"
__all__ = ["Evaluation", "MaskclsError", "Model", "Predictions", "ensemble", "evaluate", "load", "train"]


def __getattr__(name: str) -> Any:
    """Return a name of the Python API, which is loaded now: `import maskcls` itself imports no other package."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from maskcls import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
