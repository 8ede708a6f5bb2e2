"""Where and how fast things are computed. These settings change speed, memory and the last bits of the results."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from maskcls.schema.section import Auto, Section


class DeviceConfig(Section):
    """The machine. For precision, memory_format and threads, auto measures the network itself and keeps the result."""

    type: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Kind of device. auto: a GPU if there is one."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Number format of the network's computations. auto: measured."""
    memory_format: Literal["auto", "channels_last", "contiguous"] = "auto"
    """Order of the images in memory. auto: measured."""
    compile: Literal["auto", "on", "off"] = "auto"
    """Whether the network is compiled with torch.compile. auto: for a training on a GPU that is long enough to gain
    from it."""
    threads: Auto | Annotated[int, Field(ge=1, le=1024)] = "auto"
    """Number of CPU threads per process. auto: measured."""
    augment: Literal["auto", "host", "device"] = "auto"
    """Where the random changes of training images are computed. host: on the CPU. device: where the network runs. auto:
    on the device if it is a GPU."""
    workers: Annotated[int, Field(ge=0, le=256)] | None = None
    """Number of processes that load images. 0 loads in the main process. Null: chosen from the number of cores."""
