"""Hosts that users name lead outside, and nowhere else."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

import pytest

from daemon import outside
from daemon.outside import InsideError, NoAddressError, Target

INSIDE = [
    "127.0.0.1",
    "127.8.9.10",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "0.1.2.3",
    "192.0.2.1",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "fd12::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b:1::808:808",
    "2002:7f00:1::1",
    "2002:a00:1::1",
]
OUTSIDE = ["8.8.8.8", "193.190.198.27", "2001:4860:4860::8888", "2a02:2788::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("text", INSIDE)
def test_inside(text: str) -> None:
    assert not outside.is_outside(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", OUTSIDE)
def test_outside(text: str) -> None:
    assert outside.is_outside(ipaddress.ip_address(text))


def answers(*addresses: str) -> outside.Resolve:
    def resolve(host: str, port: int) -> Sequence[Target]:
        return [(socket.AF_INET6 if ":" in one else socket.AF_INET, (one, port)) for one in addresses]

    return resolve


def test_one_address_inside_refuses_the_whole_name() -> None:
    with pytest.raises(InsideError, match=r"imap\.example\.org is 10\.0\.0\.1, an address inside"):
        outside.targets("imap.example.org", 993, allow_private=False, resolver=answers("8.8.8.8", "10.0.0.1"))


def test_what_the_operator_allows_is_allowed() -> None:
    found = outside.targets("imap.example.org", 993, allow_private=True, resolver=answers("10.0.0.1"))
    assert [address for _, (address, _) in found] == ["10.0.0.1"]


def test_a_name_without_address_is_said() -> None:
    with pytest.raises(NoAddressError, match="has no address"):
        outside.targets("imap.example.org", 993, allow_private=False, resolver=answers())


def test_numbers_written_in_odd_ways_are_judged_by_what_they_mean() -> None:
    for host in ("2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost"):
        with pytest.raises((InsideError, NoAddressError)):
            outside.targets(host, 993, allow_private=False)


def test_a_name_that_changes_its_answer_leads_to_the_address_that_was_judged() -> None:
    """The name is asked once for a connection: a second answer, inside, is never asked for."""
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def resolve(host: str, port: int) -> Sequence[Target]:
            asked.append(host)
            return answers("127.0.0.1")(host, port) if len(asked) == 1 else answers("127.0.0.2")(host, port)

        port = server.getsockname()[1]
        opened = outside.connect("imap.example.org", port, allow_private=True, timeout=5.0, resolver=resolve)
        assert opened.getpeername() == ("127.0.0.1", port)
        opened.close()
    assert asked == ["imap.example.org"]


def test_the_next_address_is_tried_where_the_first_refuses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        opened = outside.connect(
            "x.example", port, allow_private=True, timeout=5.0, resolver=answers("127.0.0.3", "127.0.0.1")
        )
        assert opened.getpeername()[0] == "127.0.0.1"
        opened.close()
