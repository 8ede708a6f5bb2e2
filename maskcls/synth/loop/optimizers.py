"""How the networks of generators are trained: optimizer, its step, and number format."""

from __future__ import annotations

from typing import assert_never

import torch
from torch import Tensor, nn

from maskcls.engine.compute.plan import EXACT, Execution
from maskcls.errors import ConfigError
from maskcls.schema import DeviceConfig
from maskcls.schema.synth import SynthConfig


def adam_betas(synth: SynthConfig) -> tuple[float, float]:
    """Return Adam's parameters: as configured, else as in the papers.

    0.5, 0.999  dcgan (Radford et al. 2016, arXiv:1511.06434) and cyclegan (Zhu et al. 2017, arXiv:1703.10593).
    0, 0.9      wgan-gp (Gulrajani et al. 2017, arXiv:1704.00028, algorithm 1).
    """
    match synth.kind:
        case "wgan-gp":
            first, second = 0.0, 0.9
        case "dcgan" | "cyclegan" | "smote" | "oversample":
            first, second = 0.5, 0.999
        case _:
            assert_never(synth.kind)
    return (
        first if synth.beta1 == "auto" else synth.beta1,
        second if synth.beta2 == "auto" else synth.beta2,
    )


def build_adam(network: nn.Module, lr: float, synth: SynthConfig) -> torch.optim.Adam:
    """Return Adam for all parameters of a network."""
    return torch.optim.Adam(network.parameters(), lr=lr, betas=adam_betas(synth))


def synth_execution(device: DeviceConfig, on: torch.device) -> Execution:
    """Return how generators are computed; auto: bf16 in channels_last on a GPU that has it, else fp32 in contiguous.

    Raises ConfigError for fp16, whose range the gradients of gradients leave.
    """
    if device.precision == "fp16":
        raise ConfigError(
            "generators are not trained in fp16", where="device.precision", got="fp16", expected="auto, fp32 or bf16"
        )
    gpu = on.type == "cuda"
    fast = "bf16" if gpu and torch.cuda.is_bf16_supported() else EXACT
    layout = "channels_last" if gpu else "contiguous"
    return Execution(
        fast if device.precision == "auto" else device.precision,
        layout if device.memory_format == "auto" else device.memory_format,
    )


def descend(loss: Tensor, networks: nn.Module, optimizer: torch.optim.Optimizer) -> float:
    """Do one step of an optimizer; returns the norm of the gradient of all parameters of its networks."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.get_total_norm([p.grad for p in networks.parameters() if p.grad is not None])
    optimizer.step()
    return float(norm)
