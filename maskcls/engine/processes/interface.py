"""The network interface through which the processes of one command exchange tensors."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence

import psutil

from maskcls.errors import ResourceError
from maskcls.machine import process_count, processes_here

LOOPBACK_INTERFACES = ("lo", "lo0")  # on Linux; on macOS and BSD
VARIABLES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")


def choose_interface() -> None:
    """Set the interface for gloo and NCCL in the environment; a name that is there stays.

    What processes exchange is neither encrypted nor authenticated, so processes that are all on this machine use
    loopback. For several machines it is the interface with the route to the first process. By default gloo would use
    the address of this machine's own name, which is a loopback address on many systems, and unknown on others.
    Raises ResourceError when no interface can be chosen.
    """
    if process_count() == 1 or all(name in os.environ for name in VARIABLES):
        return
    interfaces = addresses_by_interface()
    if processes_here(process_count()) == process_count():
        chosen = next((name for name in LOOPBACK_INTERFACES if name in interfaces), None)
    else:
        first = os.environ.get("MASTER_ADDR", "")
        chosen = interface_towards(first, own_address(first), interfaces)
    for name in VARIABLES if chosen else ():
        os.environ.setdefault(name, chosen or "")


def addresses_by_interface() -> dict[str, list[str]]:
    """Return the IP addresses of each interface of this machine that is up, by its name."""
    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    return {
        name: [one.address.partition("%")[0] for one in found if one.family in (socket.AF_INET, socket.AF_INET6)]
        for name, found in psutil.net_if_addrs().items()
        if name in up
    }


def own_address(first: str) -> str:
    """Return the address of this machine from which packets to the machine `first` are sent; nothing is sent."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(first, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except OSError as error:
        raise ResourceError(
            "the machine of the first process cannot be found",
            where="MASTER_ADDR",
            got=f"{first or 'no address'}: {error.strerror or error}",
            fix="give torchrun the address of each machine: --local_addr ADDRESS",
        ) from None


def interface_towards(first: str, own: str, interfaces: Mapping[str, Sequence[str]]) -> str:
    """Return the interface that has this machine's own address on the way to the machine `first`.

    Where the name of the first machine means loopback, on that machine itself, it is the only other interface.

    >>> interface_towards("10.0.0.1", "10.0.0.2", {"lo": ["127.0.0.1"], "eth0": ["10.0.0.2"], "eth1": ["10.1.0.2"]})
    'eth0'
    """
    others = {name: found for name, found in interfaces.items() if name not in LOOPBACK_INTERFACES and found}
    if holding := [name for name, found in others.items() if own in found]:
        return holding[0]
    if len(others) == 1:
        return next(iter(others))
    raise ResourceError(
        "the network interface to the other machines is not known",
        where="MASTER_ADDR",
        got=f"{first} means {own} on this machine",
        expected="an address of " + (" or ".join(sorted(others)) or "an interface that is up"),
        fix="give torchrun the address of each machine: --local_addr ADDRESS; or set GLOO_SOCKET_IFNAME and"
        " NCCL_SOCKET_IFNAME",
    )
