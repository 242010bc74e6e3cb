"""The SMPP transport on bad days. Each fault is made on the wire, by a real connection.

What holds every time: each segment handed over is settled once (the Recorder raises otherwise), none is accepted by
the SMS centre twice unless its answer was lost, the link heals by itself, and the state says why in one sentence.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import socket
import ssl
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.transports.base import LinkState, Result
from gateway.transports.smpp import inbound
from gateway.transports.smpp.backoff import Patience
from gateway.transports.smpp.centre import Centre
from gateway.transports.smpp.pdu import ShortMessage

Segments = Callable[..., Any]
Carrier = Callable[..., Any]


def texts(centre: Centre) -> Counter[str]:
    """How often each text was accepted."""
    return Counter(taken.text for taken in centre.received if taken.status == 0)


# Getting bound


@pytest.mark.parametrize("status", [0x0E, 0x0F, 0x53])
async def test_refused_credentials_wait_long_and_say_so(carrier: Carrier, status: int) -> None:
    async with Centre() as centre:
        centre.refuse(status)
        async with carrier(centre.port, patience=Patience(first=0.01)) as hub:
            why = await hub.until_state(LinkState.REFUSED)
            assert f"refused the bind of tocsin (0x{status:08X}" in why
            assert "trying again in 4 min" in why or "trying again in 5 min" in why


async def test_a_bind_refused_for_now_is_tried_again_soon(carrier: Carrier, segment: Segments) -> None:
    async with Centre() as centre:
        centre.refuse(0x0D)
        async with carrier(centre.port) as hub:
            assert "RBINDFAIL" in await hub.until_state(LinkState.DOWN)
            centre.refuse(None)
            hub.send([segment(1)])
            await hub.until_settled(1)
            assert hub.states[-1][0] is LinkState.UP


async def test_a_centre_that_is_away_is_waited_for(carrier: Carrier, segment: Segments) -> None:
    async with Centre() as centre:
        port = centre.port
    async with carrier(port) as hub:
        why = await hub.until_state(LinkState.DOWN)
        assert why.startswith(f"cannot reach 127.0.0.1:{port}: Connection refused; trying again in ")
        async with Centre(port=port):
            hub.send([segment(1)])
            await hub.until_settled(1)


async def test_a_centre_that_accepts_and_closes_at_once_is_not_hammered(carrier: Carrier, segment: Segments) -> None:
    async with Centre() as centre:
        centre.slams = True
        async with carrier(centre.port, patience=Patience(first=0.02, longest=5.0)) as hub:
            await hub.until(lambda: sum("again in" in why for _, why in hub.states) >= 5)
            waits = [float(why.rsplit(" ", 2)[1]) for _, why in hub.states if "again in" in why]
            assert waits[4] >= 0.2
            assert "connection" in hub.states[-1][1]
            centre.slams = False
            hub.send([segment(1)])
            await hub.until_settled(1)


async def test_a_centre_that_never_answers_the_bind_is_given_up(carrier: Carrier) -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    async with server, carrier(server.sockets[0].getsockname()[1], response_timeout=0.2) as hub:
        assert "nothing was bound within 0.2 seconds" in await hub.until_state(LinkState.DOWN)


async def test_another_protocol_on_the_port_is_recognised(carrier: Carrier) -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(web, "127.0.0.1", 0)
    async with server, carrier(server.sockets[0].getsockname()[1]) as hub:
        assert "does not speak SMPP" in await hub.until_state(LinkState.DOWN)


# Losing the link


async def test_a_lost_link_leaves_what_was_written_unknown_and_heals(carrier: Carrier, segment: Segments) -> None:
    async with Centre() as centre, carrier(centre.port, window=4) as hub:
        centre.stay_silent(4)
        hub.send([segment(n) for n in range(1, 7)])
        await centre.taken(4)
        centre.drop()
        await hub.until_settled(6)
        assert hub.last() == {
            1: Result.UNKNOWN, 2: Result.UNKNOWN, 3: Result.UNKNOWN, 4: Result.UNKNOWN,
            5: Result.ACCEPTED, 6: Result.ACCEPTED,
        }  # fmt: skip
        lost = hub.outcomes[0]
        assert lost.written is not None
        assert lost.answered is None
        assert any(state is LinkState.DOWN and "trying again" in why for state, why in hub.states)


async def test_a_link_that_drops_every_hundred_loses_and_doubles_nothing(carrier: Carrier, segment: Segments) -> None:
    async with Centre(receipts=False) as centre, carrier(centre.port, window=20) as hub:
        hub.insists = True
        centre.drop_after(100)
        hub.send([segment(n) for n in range(1, 1001)])
        for dropped in range(1, 8):
            await hub.until(lambda dropped=dropped: len(centre.binds) > dropped)
            centre.drop_after(100)
        await hub.until(lambda: len(hub.last()) == 1000 and not set(hub.last().values()) - FINAL)
        unknown = set(hub.of(Result.UNKNOWN))
        accepted = hub.of(Result.ACCEPTED)
        assert 7 <= len(unknown) <= 8 * 20
        assert sorted([*accepted, *unknown]) == list(range(1, 1001))
        assert set(texts(centre).values()) == {1}


FINAL = {Result.ACCEPTED, Result.UNKNOWN, Result.PERMANENT}


async def test_the_centres_goodbye_is_answered_and_the_link_comes_back(carrier: Carrier, segment: Segments) -> None:
    async with Centre(receipts=False) as centre, carrier(centre.port) as hub:
        hub.insists = True
        hub.send([segment(n) for n in range(1, 101)])
        await hub.until_settled(50)
        centre.unbind()
        await hub.until(lambda: len(hub.of(Result.ACCEPTED)) == 100)
        await hub.until(lambda: len(centre.binds) == 2)
        assert not hub.of(Result.UNKNOWN)
        assert set(texts(centre).values()) == {1}
        assert any("unbound us" in why for _, why in hub.states)


async def test_answers_after_the_centres_goodbye_still_count(carrier: Carrier, segment: Segments) -> None:
    async with Centre(receipts=False) as centre, carrier(centre.port) as hub:
        centre.delay = 0.1
        hub.send([segment(1)])
        await centre.taken(1)
        centre.unbind()
        await hub.until_settled(1)
        assert hub.results() == {Result.ACCEPTED: 1}


async def test_a_dead_peer_is_a_lost_link(carrier: Carrier) -> None:
    async with Centre() as centre, carrier(centre.port, enquire_link=0.1, response_timeout=0.2) as hub:
        await hub.until_state(LinkState.UP)
        centre.read(False)
        assert "the peer is dead: enquire_link had no answer" in await hub.until_state(LinkState.DOWN)
        await hub.until(lambda: len(centre.binds) == 2)


async def test_a_quiet_peer_that_answers_stays_connected(carrier: Carrier) -> None:
    async with Centre() as centre, carrier(centre.port, enquire_link=0.05, response_timeout=2.0) as hub:
        await hub.until_state(LinkState.UP)
        await asyncio.sleep(0.4)  # eight questions and answers
        assert [state for state, _ in hub.states] == [LinkState.CONNECTING, LinkState.UP]
        assert len(centre.binds) == 1


async def test_the_centre_may_ask_whether_we_are_there(carrier: Carrier) -> None:
    async with Centre(enquire_link=0.05) as centre:
        centre.timers = type(centre.timers)(enquire_link=0.05, response=0.4)
        async with carrier(centre.port) as hub:
            await hub.until_state(LinkState.UP)
            await asyncio.sleep(0.8)  # longer than the centre would wait for a dead peer
            assert len(centre.binds) == 1


async def test_little_lies_with_the_kernel_of_what_a_peer_does_not_read(carrier: Carrier, segment: Segments) -> None:
    """What lies there would leave even if this daemon were frozen, and another had taken over by then."""
    async with Centre(receipts=False) as centre, carrier(centre.port, window=10_000, response_timeout=2.0) as hub:
        await hub.until_state(LinkState.UP)
        ours = next(place.link for place in hub.transport._places)._transport
        theirs = centre._connections[0]._transport
        assert theirs is not None
        # As if the way were narrow: it takes no more than a few thousand octets.
        theirs.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        centre.read(False)
        hub.force([segment(n, payload=b"x" * 140) for n in range(1, 8001)])
        await asyncio.sleep(0.2)
        unsent = struct.unpack("i", fcntl.ioctl(ours.get_extra_info("socket"), _SIOCOUTQNSD, bytes(4)))[0]
        assert unsent + ours.get_write_buffer_size() <= 120 * 1024
        await hub.until_settled(8000)
        # What was not handed over was certainly not taken: it goes again, and is not in doubt.
        assert hub.results()[Result.UNSENT] >= 1000


#: Octets in the kernel's queue that were not sent yet (linux/sockios.h).
_SIOCOUTQNSD = 0x894B


async def test_a_peer_that_stops_reading_does_not_fill_the_memory(carrier: Carrier, segment: Segments) -> None:
    async with Centre(receipts=False) as centre, carrier(centre.port, window=100_000, response_timeout=1.0) as hub:
        await hub.until_state(LinkState.UP)
        centre.read(False)
        sent = 0
        while hub.transport.room() > 0 and sent < 90_000:
            hub.force([segment(n, payload=b"x" * 160) for n in range(sent + 1, sent + 201)])
            sent += 200
        assert hub.transport.room() == 0
        await hub.until_settled(sent)
        assert hub.results()[Result.UNKNOWN] >= sent - 200
        assert "without an answer" in await hub.until_state(LinkState.DOWN)


# Strange answers


async def test_an_answer_that_never_comes_is_unknown_alone(carrier: Carrier, segment: Segments) -> None:
    async with Centre(receipts=False) as centre, carrier(centre.port, response_timeout=0.6) as hub:
        centre.answer_with(0, 3)
        centre.stay_silent(1)
        hub.send([segment(n) for n in range(1, 9)])
        await hub.until_settled(8)
        assert hub.of(Result.UNKNOWN) == [4]
        assert "left a submit_sm without an answer" in await hub.until_state(LinkState.DOWN)
        await hub.until(lambda: len(centre.binds) == 2)


async def test_an_answer_that_comes_too_late_is_told_after_all(carrier: Carrier, segment: Segments) -> None:
    async with Centre(receipts=False) as centre, carrier(centre.port, response_timeout=0.3) as hub:
        centre.stay_silent(1)
        hub.send([segment(1)])
        await centre.taken(1)
        centre.delay = 0.4
        await asyncio.sleep(0.2)
        hub.send([segment(2)])
        await hub.until_settled(2)
        await hub.until(lambda: len(centre.binds) == 2)
        assert hub.results() == {Result.UNKNOWN: 2, Result.ACCEPTED: 1}
        assert hub.last() == {1: Result.UNKNOWN, 2: Result.ACCEPTED}


async def test_answers_out_of_order_find_their_segments(carrier: Carrier, segment: Segments) -> None:
    async with Centre(receipts=False) as centre, carrier(centre.port, window=10) as hub:
        centre.reverse(10)
        hub.send([segment(n) for n in range(1, 11)])
        await hub.until_settled(10)
        ids = {outcome.segment: outcome.peer_id for outcome in hub.outcomes}
        assert ids == {int(taken.text.split()[1]): taken.id for taken in centre.received}


async def test_slow_answers_are_waited_for(carrier: Carrier, segment: Segments) -> None:
    async with Centre(receipts=False) as centre, carrier(centre.port, window=50) as hub:
        centre.delay = 0.3
        hub.send([segment(n) for n in range(1, 101)])
        await hub.until_settled(100)
        assert hub.results() == {Result.ACCEPTED: 100}


@pytest.mark.parametrize(
    ("status", "result", "tries", "elsewhere"),
    [
        (0x08, Result.TRANSIENT, 6, True),
        (0x45, Result.TRANSIENT, 3, True),
        (0x0B, Result.PERMANENT, None, True),
        (0x4AA, Result.TRANSIENT, 3, False),
        (0x4BB, Result.ACCEPTED, None, True),
    ],
)
async def test_a_refusal_means_what_the_table_and_the_route_say(
    carrier: Carrier, segment: Segments, status: int, result: Result, tries: int | None, elsewhere: bool
) -> None:
    async with Centre() as centre, carrier(centre.port, status={0x4BB: "accepted"}) as hub:
        centre.answer_with(status)
        hub.send([segment(1)])
        await hub.until_settled(1)
        assert hub.outcomes[0].result is result
        assert (hub.outcomes[0].tries, hub.outcomes[0].elsewhere) == (tries, elsewhere)
        assert hub.outcomes[0].code == f"0x{status:08X}"
        assert hub.outcomes[0].text.endswith(".")


async def test_a_session_fault_costs_nothing_and_binds_anew(carrier: Carrier, segment: Segments) -> None:
    async with Centre(receipts=False) as centre, carrier(centre.port) as hub:
        hub.insists = True
        centre.answer_with(0x04)
        hub.send([segment(1)])
        await hub.until(lambda: hub.last() == {1: Result.ACCEPTED})
        assert hub.outcomes[0].result is Result.UNSENT
        assert len(centre.binds) == 2
        assert any("RINVBNDSTS" in why for _, why in hub.states)


async def test_a_generic_nack_for_nothing_we_sent_ends_the_link(carrier: Carrier, segment: Segments) -> None:
    async with Centre(receipts=False) as centre, carrier(centre.port) as hub:
        await hub.until_state(LinkState.UP)
        centre.send(bytes.fromhex("00000010 80000000 00000003 00000000".replace(" ", "")))
        assert "could not read a PDU of ours" in await hub.until_state(LinkState.DOWN)
        hub.send([segment(1)])
        await hub.until_settled(1)


@pytest.mark.parametrize(
    "rubbish",
    [b"\0\0\0\x0fwhatever", b"\xff" * 100, b"\0\0\0\0" * 10, b"GET / HTTP/1.1\r\n\r\n", b"\x00\x01\x00\x01" * 5],
    ids=["length 15", "length 4 GiB", "length 0", "another protocol", "length 65537"],
)
async def test_rubbish_and_absurd_lengths_end_the_link_which_heals(
    carrier: Carrier, segment: Segments, rubbish: bytes
) -> None:
    async with Centre(receipts=False) as centre, carrier(centre.port) as hub:
        centre.stay_silent(1)
        hub.send([segment(1)])
        await centre.taken(1)
        centre.send(rubbish)
        await hub.until_settled(1)
        assert hub.results() == {Result.UNKNOWN: 1}
        hub.send([segment(2)])
        await hub.until_settled(2)
        assert hub.last()[2] is Result.ACCEPTED


@pytest.mark.parametrize(
    "body", ["0000001c 00000005 00000000 00000007 000000000000000000000000", "00000010 00000abc 0 9"]
)
async def test_a_pdu_that_cannot_be_read_is_refused_and_the_link_stays(
    carrier: Carrier, segment: Segments, body: str
) -> None:
    words = body.split()
    octets = b"".join(bytes.fromhex(word.zfill(8)) for word in words)
    async with Centre(receipts=False) as centre, carrier(centre.port) as hub:
        await hub.until_state(LinkState.UP)
        centre.send(octets)
        hub.send([segment(1)])
        await hub.until_settled(1)
        assert len(centre.binds) == 1


# Being told to be slower


async def test_a_throttled_link_pauses_slows_down_and_gets_everything_through(
    carrier: Carrier, segment: Segments
) -> None:
    async with Centre(receipts=False) as centre, carrier(centre.port, rate=200.0) as hub:
        hub.insists = True
        await hub.until_state(LinkState.UP)
        centre.throttle(3)
        begin = time.monotonic()
        hub.send([segment(n) for n in range(1, 61)])
        why = await hub.until_state(LinkState.THROTTLED)
        assert why == "the SMS centre asked to be slower (0x00000058 RTHROTTLED); now 100 a second"
        assert hub.transport.room() == 0
        await hub.until(lambda: len(hub.of(Result.ACCEPTED)) == 60)
        assert time.monotonic() - begin >= 0.15 + 50 / 120
        assert 1 <= len(hub.of(Result.THROTTLED)) <= 3
        assert set(texts(centre).values()) == {1}
        assert hub.transport.rate is not None
        assert 100 <= hub.transport.rate < 200


async def test_thirty_percent_throttled_gets_through_in_the_end(carrier: Carrier, segment: Segments) -> None:
    async with Centre(receipts=False) as centre, carrier(centre.port, window=20) as hub:
        hub.insists = True
        for n in range(400):
            centre.answer_with(0x58 if n % 10 in (2, 5, 8) else 0)
        hub.send([segment(n) for n in range(1, 41)])
        await hub.until(lambda: len(hub.of(Result.ACCEPTED)) == 40)
        assert set(texts(centre).values()) == {1}


async def test_one_full_mailbox_slows_only_its_own_number(carrier: Carrier, segment: Segments) -> None:
    async with Centre(receipts=False) as centre, carrier(centre.port, window=5) as hub:
        centre.reverse(3)
        centre.answer_with(0x14)
        hub.send([segment(1), segment(2), segment(3)])
        await hub.until_settled(3)
        assert hub.last() == {1: Result.TRANSIENT, 2: Result.ACCEPTED, 3: Result.ACCEPTED}
        assert hub.transport.room() == 5
        assert LinkState.THROTTLED not in {state for state, _ in hub.states}


async def test_a_full_queue_that_nothing_gets_through_slows_the_link(carrier: Carrier, segment: Segments) -> None:
    async with Centre(receipts=False) as centre, carrier(centre.port, window=5) as hub:
        await hub.until_state(LinkState.UP)
        centre.answer_with(0x14, 2)
        hub.send([segment(1), segment(2)])
        await hub.until_settled(2)
        assert hub.results() == {Result.THROTTLED: 2}
        assert hub.transport.room() == 0


# What the centre sends


async def test_what_cannot_be_recorded_is_asked_for_again(carrier: Carrier, segment: Segments) -> None:
    async with Centre() as centre, carrier(centre.port) as hub:
        hub.broken = OSError("disk full")
        hub.send([segment(1)])
        await centre.putting_off(1)
        assert centre.deferred[0] == 0x64
        assert not hub.receipts
        hub.broken = None
        await hub.until(lambda: len(hub.receipts) == 1)


async def test_a_stuck_store_holds_a_bounded_number_of_receipts_and_no_answers(
    carrier: Carrier, segment: Segments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbound, "LIMIT", 20)
    monkeypatch.setattr(inbound, "PATIENCE", 0.1)
    async with Centre() as centre, carrier(centre.port) as hub:
        hub.stuck = asyncio.Event()
        hub.send([segment(n) for n in range(1, 201)])
        await hub.until_settled(200)
        assert hub.results() == {Result.ACCEPTED: 200}
        await centre.putting_off(20)
        assert set(centre.deferred) == {0x64}
        waiting = hub.transport._places[0].link._inbound._tasks
        assert len(waiting) <= 20 + 100  # what one read may bring over the limit
        hub.stuck.set()
        await hub.until(lambda: len(hub.receipts) == 200)


async def test_receipts_under_way_are_answered_before_goodbye(carrier: Carrier, segment: Segments) -> None:
    async with Centre() as centre, carrier(centre.port) as hub:
        hub.stuck = asyncio.Event()
        hub.send([segment(1)])
        await hub.until_settled(1)
        await asyncio.sleep(0.05)
        draining = asyncio.create_task(hub.transport.drain(5.0))
        asyncio.get_running_loop().call_later(0.1, hub.stuck.set)
        await draining
        await centre.unbound()
        assert len(hub.receipts) == 1
        assert not centre.deferred


async def test_a_defect_of_ours_ends_the_transport_and_is_not_swallowed(carrier: Carrier, segment: Segments) -> None:
    async def journey(centre: Centre) -> None:
        async with carrier(centre.port) as hub:
            await hub.until_state(LinkState.UP)
            hub.settled = lambda _: 1 / 0
            hub.force([segment(1)])
            await centre.unbound()

    async with Centre() as centre:
        with pytest.raises(ExceptionGroup) as caught:
            await journey(centre)
        assert caught.group_contains(ZeroDivisionError)


async def test_a_message_on_a_transmitters_link_is_taken(carrier: Carrier) -> None:
    async with Centre() as centre, carrier(centre.port, bind="transmitter") as hub:
        await centre.bound()
        from gateway.transports.smpp import codec

        centre.send(codec.encode(0x05, 9, 0, ShortMessage("32475123456", 1, 1, "8850", short_message=b"hi")))
        await hub.until(lambda: bool(hub.incoming_))


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of its own for smsc.test and 127.0.0.1, with its key in the same file."""
    if shutil.which("openssl") is None:
        reason = "openssl is absent: make peers installs it"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    folder = tmp_path_factory.mktemp("tls")
    path = folder / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=smsc.test",
         "-addext", "subjectAltName=IP:127.0.0.1,DNS:smsc.test", "-keyout", folder / "key.pem", "-out",
         folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_bytes((folder / "key.pem").read_bytes() + (folder / "cert.pem").read_bytes())
    return path


def server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_tls_with_a_trusted_certificate_works(carrier: Carrier, segment: Segments, certificate: Path) -> None:
    trust = ssl.create_default_context(cafile=certificate)
    async with Centre(tls=server_side(certificate)) as centre, carrier(centre.port, tls=trust) as hub:
        hub.send([segment(1)])
        await hub.until(lambda: len(hub.receipts) == 1)
        await hub.transport.drain(1.0)
        await centre.unbound()


@pytest.mark.parametrize(
    ("trusted", "host", "says"),
    [(False, "127.0.0.1", "self-signed certificate"), (True, "localhost", "Hostname mismatch")],
)
async def test_tls_with_a_stranger_or_a_wrong_name_is_refused(
    carrier: Carrier, certificate: Path, trusted: bool, host: str, says: str
) -> None:
    trust = ssl.create_default_context(cafile=certificate if trusted else None)
    async with Centre(tls=server_side(certificate)) as centre, carrier(centre.port, tls=trust, host=host) as hub:
        why = await hub.until_state(LinkState.DOWN)
        assert f"the certificate of {host}:{centre.port} cannot be trusted: " in why
        assert says.replace("-", " ") in why.replace("-", " ")
        assert not centre.binds


async def test_tls_to_a_port_without_says_so(carrier: Carrier, certificate: Path) -> None:
    trust = ssl.create_default_context(cafile=certificate)
    async with Centre() as centre, carrier(centre.port, tls=trust) as hub:
        why = await hub.until_state(LinkState.DOWN)
        assert f"TLS with 127.0.0.1:{centre.port} failed" in why or "cannot reach" in why
