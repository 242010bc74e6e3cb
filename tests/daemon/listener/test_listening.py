"""Where the listener listens, how many it lets in, and how it comes down."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import stat
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daemon.peers import Networks

if TYPE_CHECKING:
    from daemon.listener import Listener
    from tests.daemon.listener.conftest import Connect, House, Start, Wire


async def test_a_unix_socket_is_a_peer_of_its_own(start: Start, connect: Connect, house: House, tmp_path: Path) -> None:
    path = tmp_path / "lmtp.sock"
    bound = await start("lmtp", f"unix:{path}", trusted_networks=Networks.of(["unix"]))
    assert bound == f"unix:{path}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    wire = await connect(bound)
    await wire.envelope(hello="LHLO")
    assert (await wire.say("\r\nhello\r\n.")).startswith("250")
    assert len(house.taken) == 1


async def test_a_unix_socket_is_not_trusted_unless_it_is_said(start: Start, connect: Connect, tmp_path: Path) -> None:
    wire = await connect(await start("smtp", f"unix:{tmp_path}/s", trusted_networks=Networks.of(["0.0.0.0/0", "::/0"])))
    assert (await wire.envelope()).startswith("503")


async def test_a_socket_left_by_a_dead_process_is_replaced(listener: Listener, tmp_path: Path) -> None:
    path = tmp_path / "s"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    await listener.open("smtp", f"unix:{path}")
    with pytest.raises(OSError, match="somebody listens"):
        await listener.open("smtp", f"unix:{path}")
    await listener.drain(1)
    assert not path.exists()


async def test_a_file_in_the_way_is_left_alone(listener: Listener, tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(OSError, match="no socket"):
        await listener.open("smtp", f"unix:{path}")
    assert path.read_text() == "precious"


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
async def test_sockets_of_the_service_manager_are_served(
    listener: Listener, connect: Connect, tmp_path: Path, family: int
) -> None:
    own = socket.socket(family)
    own.bind(("127.0.0.1", 0) if family == socket.AF_INET else str(tmp_path / "s"))
    own.listen()
    (bound,) = await listener.open("smtp", "systemd:smtp", {"smtp": [own]})
    assert (await (await connect(bound)).reply()).startswith("220")


@pytest.mark.parametrize("address", ["systemd:absent", "25", "host", "127.0.0.1:70000", "127.0.0.1:x", ""])
async def test_an_address_that_is_none_is_refused(listener: Listener, address: str) -> None:
    with pytest.raises(ValueError, match=r"address to listen at|systemd passed no socket"):
        await listener.open("smtp", address)


async def test_ipv6_is_served(start: Start, connect: Connect) -> None:
    try:
        bound = await start("smtp", "[::1]:0")
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert bound.startswith("[::1]:")
    assert (await (await connect(bound)).reply()).startswith("220")


async def test_connections_are_limited(start: Start, connect: Connect) -> None:
    bound = await start(connections=2)
    wires = [await connect(bound) for _ in range(2)]
    assert [(await wire.reply())[:3] for wire in wires] == ["220", "220"]
    third = await connect(bound)
    assert (await third.reply()).startswith("421 4.7.0")
    assert await third.ended()
    assert (await wires[0].say("QUIT")).startswith("221")
    assert await wires[0].ended()
    assert (await (await connect(bound)).reply()).startswith("220")


async def test_one_stranger_cannot_take_all_connections(start: Start, connect: Connect, listener: Listener) -> None:
    bound = await start(connections_each=1, trusted_networks=Networks())
    assert (await (await connect(bound)).reply()).startswith("220")
    assert (await (await connect(bound)).reply()).startswith("421 4.7.0")
    listener.settings = replace(listener.settings, trusted_networks=Networks.of(["127.0.0.1"]))
    assert (await (await connect(bound)).reply()).startswith("220")


async def _in_data(connect: Connect, bound: str) -> Wire:
    wire = await connect(bound)
    assert (await wire.envelope()).startswith("354")
    return wire


async def test_coming_down_lets_a_mail_come_in(
    start: Start, connect: Connect, listener: Listener, house: House
) -> None:
    bound = await start()
    idle = await connect(bound)
    await idle.reply()
    wire = await _in_data(connect, bound)
    draining = asyncio.create_task(listener.drain(10))
    assert (await idle.reply()).startswith("421 4.3.2")
    assert (await wire.say("\r\nhello\r\n.")).startswith("250")
    assert (await wire.reply()).startswith("421 4.3.2")
    await asyncio.wait_for(draining, 5)
    assert len(house.taken) == 1
    with pytest.raises(ConnectionRefusedError):
        await connect(bound)


async def test_coming_down_does_not_wait_for_ever(
    start: Start, connect: Connect, listener: Listener, house: House
) -> None:
    wire = await _in_data(connect, await start())
    wire.write(b"\r\nhalf a mail")
    await asyncio.wait_for(listener.drain(0.1), 5)
    with contextlib.suppress(ConnectionResetError):
        assert await wire.ended()
    assert not house.taken


async def test_a_peer_that_does_not_read_does_not_hold_a_connection(
    start: Start, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.session._GOODBYE", 0.1)
    bound = await start(idle=0.3, max_recipients=1)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", int(bound.rpartition(":")[2])))
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, b"EHLO c\r\nMAIL FROM:<jean@example.org>\r\n")

    async def flood() -> None:
        while True:
            await loop.sock_sendall(client, b"RCPT TO:<+32475123456@sms.example.org>\r\n" * 1000)

    with pytest.raises(ConnectionError):
        await asyncio.wait_for(flood(), 30)
    client.close()


async def test_new_settings_hold_for_new_connections(start: Start, connect: Connect, listener: Listener) -> None:
    bound = await start()
    old = await connect(bound)
    await old.reply()
    listener.settings = replace(listener.settings, sms_domain="text.example.org")
    assert (await old.envelope(hello="")).startswith("503")
    await old.say("EHLO c")
    assert (await old.envelope(hello="")).startswith("354")
    new = await connect(bound)
    await new.reply()
    await new.say("EHLO c")
    await new.say("MAIL FROM:<jean@example.org>")
    assert (await new.say("RCPT TO:<+32475123456@text.example.org>")).startswith("250")
