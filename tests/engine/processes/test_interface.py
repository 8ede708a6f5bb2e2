"""The network interface is chosen from the addresses of this machine."""

from __future__ import annotations

import os
import socket

import pytest

from maskcls.engine.processes import interface
from maskcls.engine.processes.interface import addresses_by_interface, choose_interface, interface_towards, own_address
from maskcls.errors import ResourceError

HERE = {"lo": ["127.0.0.1"], "eth0": ["10.0.0.2", "fe80::1"], "ib0": ["10.9.0.2"], "docker0": []}
TWO = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (TWO, ("lo", "lo")),
        ({**TWO, "GLOO_SOCKET_IFNAME": "eth0"}, ("eth0", "lo")),
        ({"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "10.9.0.1"}, ("ib0", "ib0")),
        ({"WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}, (None, None)),
        ({}, (None, None)),
    ],
    ids=["one machine", "told otherwise", "two machines", "one process", "no launcher"],
)
def test_interface_of_processes(
    environment: dict[str, str], expected: tuple[str | None, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = dict(environment)
    monkeypatch.setattr(os, "environ", environment)
    monkeypatch.setattr(interface, "addresses_by_interface", lambda: HERE)
    monkeypatch.setattr(interface, "own_address", {"10.9.0.1": "10.9.0.2"}.get)
    choose_interface()
    assert tuple(environment.get(name) for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")) == expected


def test_a_name_that_means_loopback_leaves_the_only_other_interface() -> None:
    assert interface_towards("host0", "127.0.1.1", {"lo": ["127.0.0.1"], "eth0": ["10.0.0.1"]}) == "eth0"


def test_two_interfaces_and_a_name_that_means_loopback() -> None:
    with pytest.raises(ResourceError, match="interface") as caught:
        interface_towards("host0", "127.0.1.1", HERE)
    assert caught.value.got == "host0 means 127.0.1.1 on this machine"
    assert caught.value.expected == "an address of eth0 or ib0"
    assert "--local_addr" in str(caught.value.fix)


def test_a_machine_that_cannot_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ResourceError, match="cannot be found") as caught:
        own_address("host7")
    assert caught.value.got == "host7: Name or service not known"


def test_this_machine_reaches_itself_through_loopback() -> None:
    assert own_address("127.0.0.1") == "127.0.0.1"
    assert "127.0.0.1" in [address for found in addresses_by_interface().values() for address in found]
