"""Which GPU each of several processes on one machine uses, by CUDA_VISIBLE_DEVICES. Imports no heavy package."""

from __future__ import annotations

import os

DEVICES = "CUDA_VISIBLE_DEVICES"


def own_device(number: int, visible: str | None, found: int) -> str | None:
    """Return CUDA_VISIBLE_DEVICES for a process, by its number from 0: one of the machine's GPUs, in turn.

    visible  the variable of the command that starts the processes; None: not set. CUDA ignores what follows a name of
             no GPU.
    found    GPUs that this command sees. Without one, the variable stays as it is.

    >>> [own_device(number, None, 2) for number in range(3)], own_device(1, "4,7", 2), own_device(1, None, 0)
    (['0', '1', '0'], '7', None)
    """
    if found < 1:
        return visible
    names = [name.strip() for name in visible.split(",")] if visible else [str(place) for place in range(found)]
    return names[number % min(found, len(names))]


def set_devices(devices: str | None) -> None:
    """Set CUDA_VISIBLE_DEVICES of this process, before CUDA is started; None: not set."""
    if devices is None:
        os.environ.pop(DEVICES, None)
    else:
        os.environ[DEVICES] = devices
