"""How much work a call does, counted instead of timed: a busy machine changes the clock, and never this number."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def python_calls(action: Callable[[], Any]) -> int:
    """Run `action` and return how many Python functions it entered, itself included; what it raises comes through."""
    count = 0

    def watch(frame: FrameType, event: str, arg: Any) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        action()
    finally:
        sys.setprofile(before)
    return count
