"""What a broken or hostile client may do: it is answered where that makes sense, and costs only itself."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from daemon.console.protocol import Phase
from daemon.console.server import Limits
from tests.daemon.console.conftest import MESSAGES, Console, is_problem
from tests.daemon.console.wires import Dial, Wire, limit, post
from tests.peers.daemon_process import until

WELL = {"sms": ["+32475123456"], "text": "Dinner at eight?"}


@pytest.mark.parametrize(
    "octets",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"EHLO client.example.org\r\n",
    ],
)
async def test_what_is_no_http_is_answered_once_and_hung_up_on(wire: Wire, octets: bytes) -> None:
    wire.write(octets)
    status, fields, body = await wire.answer()
    assert status == 400
    assert fields["content-type"] == "application/problem+json"
    assert json.loads(body)["status"] == 400
    assert await wire.ended() == b""


async def test_a_head_that_never_ends_is_cut(wire: Wire) -> None:
    wire.write(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 100_000)
    status, _, _ = await wire.answer()
    assert status == 431


async def test_more_fields_than_anybody_needs_are_refused(wire: Wire) -> None:
    wire.write(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 200 + b"\r\n")
    status, _, _ = await wire.answer()
    assert status == 431


async def test_a_head_that_comes_too_slowly_is_refused(console: Console, wire: Wire) -> None:
    limit(console, reading_head=0.2)
    wire.write(b"GET / HTTP/1.1\r\n")
    status, fields, _ = await wire.answer()
    assert (status, fields["connection"]) == (408, "close")


async def test_a_body_that_comes_too_slowly_is_refused_and_not_taken(console: Console, wire: Wire) -> None:
    limit(console, reading_body=0.2)
    wire.write(post(console, b'{"sms": [', length=100))
    status, _, _ = await wire.answer()
    assert status == 408
    assert (await console.client().get(MESSAGES)).json()["messages"] == []


async def test_who_says_nothing_is_hung_up_on(console: Console, wire: Wire) -> None:
    limit(console, idle=0.2)
    assert await wire.ended() == b""


async def test_a_body_that_is_declared_too_large_is_refused_before_it_comes(console: Console, wire: Wire) -> None:
    wire.write(post(console, b"", length=100_000_000, more="Expect: 100-continue\r\n"))
    status, _, _ = await wire.answer()
    assert status == 413


async def test_a_client_that_sends_a_body_that_is_too_large_hears_why(ann: httpx.AsyncClient) -> None:
    is_problem(await ann.post(MESSAGES, content=b"x" * 6_000_000, headers={"content-type": "application/json"}), 413)


async def test_a_body_of_unknown_length_is_cut_where_it_is_too_large(ann: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 65536

    is_problem(await ann.post(MESSAGES, content=endless(), headers={"content-type": "application/json"}), 413)


async def test_a_body_in_pieces_is_taken(console: Console, ann: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for octet in json.dumps(WELL).encode():
            yield bytes([octet])

    answer = await ann.post(MESSAGES, content=pieces(), headers={"content-type": "application/json"})
    assert answer.status_code == 202


async def test_who_waits_for_a_100_is_told_to_go_on(console: Console, wire: Wire) -> None:
    body = json.dumps(WELL).encode()
    wire.write(post(console, b"", length=len(body), more="Expect: 100-continue\r\n"))
    assert (await wire.answer())[0] == 100
    wire.write(body)
    assert (await wire.answer())[0] == 202


async def test_requests_without_waiting_for_answers_are_answered_in_order(console: Console, wire: Wire) -> None:
    body = json.dumps(WELL).encode()
    wire.write(post(console, body) + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + post(console, body))
    assert [(await wire.answer())[0] for _ in range(3)] == [202, 200, 202]


async def test_rubbish_after_a_request_does_not_overtake_its_answer(console: Console, wire: Wire) -> None:
    wire.write(post(console, json.dumps(WELL).encode()) + b"nonsense\r\n\r\n")
    status, _, body = await wire.answer()
    assert status == 202
    assert json.loads(body)["id"]


async def test_who_hangs_up_in_the_middle_harms_nobody(
    console: Console, dial: Dial, ann: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    body = json.dumps(WELL).encode()
    for cut in (10, 100, len(post(console, body)) - 3):
        one = await dial()
        one.write(post(console, body)[:cut])
        await one.writer.drain()
        one.writer.close()
    assert (await ann.post(MESSAGES, json=WELL)).status_code == 202
    large = await dial()
    large.write(post(console, b" " * 300_000, length=900_000))
    await large.writer.drain()
    large.writer.close()
    assert console.house.console is not None
    server = console.house.console
    await until(lambda: server.connections == 1)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    assert len((await ann.get(MESSAGES)).json()["messages"]) == 1


async def test_too_many_connections_push_out_the_idle_and_then_nobody(console: Console, dial: Dial) -> None:
    limit(console, connections=5)
    idle = [await dial() for _ in range(5)]
    busy = []
    for _ in range(5):
        one = await dial()
        one.write(b"GET /healthz HTTP/1.1\r\n")
        await one.writer.drain()
        busy.append(one)
    for one in idle:
        with contextlib.suppress(ConnectionResetError):
            assert await one.ended() == b""
    assert console.house.console is not None
    server = console.house.console
    await until(lambda: all(one.phase is Phase.HEAD for one in server._connections))
    status, fields, _ = await (await dial()).answer()
    assert (status, fields["connection"]) == (503, "close")
    busy[0].write(b"Host: x\r\n\r\n")
    assert (await busy[0].answer())[0] == 200


async def test_a_reader_that_does_not_read_is_cut_off(console: Console, wire: Wire) -> None:
    limit(console, writing=0.2)
    many = {"sms": [f"+32475{n:06d}" for n in range(1, 1001)], "text": "x"}
    for _ in range(5):
        await console.client().post(MESSAGES, json=many)
    asks = f"GET {MESSAGES} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {console.tokens['ann']}\r\n\r\n".encode()
    for _ in range(200):
        wire.write(asks)
    assert console.house.console is not None
    server, ours = console.house.console, wire.writer.get_extra_info("sockname")
    await until(lambda: ours not in [one.client for one in server._connections])


async def test_an_upgrade_is_answered_as_the_request_it_is(wire: Wire) -> None:
    wire.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert (await wire.answer())[0] == 200


def test_the_bounds_are_those_the_page_tells() -> None:
    limits = Limits()
    assert (limits.connections, limits.headers, limits.head) == (1000, 100, 32 * 1024)
    assert (limits.reading_head, limits.reading_body, limits.idle) == (20, 60, 75)
