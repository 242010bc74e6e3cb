"""What an SMS centre does on bad days, and the whole daemon under it: dispatcher, store, link.

For each: nothing lost, nothing twice, the credit exact, nothing piled up, healed without a hand, and a sentence in
`status` that says why. The centre is ours, for it can do on the wire what no library lets anybody do; what others can
do is done by others, too (`test_bad_days_of_others.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import ssl
import subprocess
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.message import State
from gateway.transports.smpp.centre import Centre

Start = Callable[..., Any]
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def taken(centre: Centre) -> list[str]:
    """The texts it took, or may have taken."""
    return [one.text for one in centre.received if not one.status]


async def test_it_throttles_three_of_ten(daemon: Start) -> None:
    async with Centre(receipts=False) as centre:
        for n in range(600):
            centre.answer_with(0x58 if n % 10 < 3 else 0)
        one = await daemon(centre.port, window=20, rate=200.0)
        await one.send(400)
        assert await one.rests(60) == {State.ACCEPTED: 400}
        one.check(taken(centre))
        one.told("the SMS centre asked to be slower (0x00000058 RTHROTTLED)", "throttled")
        # No refusal was counted as an attempt, and what throttling leaves of the rate is shown.
        assert {one.attempts for one in one.books.rows()} == {1}
        await one.until(lambda: (one.house.board.get("route", "operator") or one).rate.endswith("/s"))
        one.is_well()


async def test_it_throttles_everything_for_a_while(daemon: Start) -> None:
    async with Centre(receipts=False) as centre:
        centre.throttle(15)
        one = await daemon(centre.port, window=10, rate=100.0)
        await one.send(50)
        assert await one.rests() == {State.ACCEPTED: 50}
        one.check(taken(centre))
        assert centre.total == 65
        one.told("now 50 a second", "throttled")


async def test_it_answers_five_seconds_late(daemon: Start) -> None:
    async with Centre(receipts=False) as centre:
        centre.delay = 5.0
        one = await daemon(centre.port, window=100)
        await one.send(100)
        assert await one.rests() == {State.ACCEPTED: 100}
        one.check(taken(centre))
        one.is_well()
        assert len(centre.binds) == 1


async def test_it_answers_out_of_order(daemon: Start) -> None:
    async with Centre() as centre:
        centre.reverse(10)
        one = await daemon(centre.port, window=10)
        await one.send(10)
        await one.until_states({State.DELIVERED: 10})
        one.check(taken(centre))
        # Each got the id that was meant for it: its receipt found it.
        assert {row.peer_id: row.text for row in one.books.rows()} == {t.id: t.text for t in centre.received}


async def test_it_drops_the_link_every_hundred_messages(daemon: Start) -> None:
    async with Centre(receipts=False) as centre:
        one = await daemon(centre.port, window=10)
        for _ in range(3):
            centre.drop_after(100)
            await one.send(110)
            await one.rests()
        one.check(taken(centre), unknown=30)
        one.told("the SMS centre closed the connection", "down")
        one.is_well()


async def test_the_network_dies_without_a_word(daemon: Start) -> None:
    async with Centre(receipts=False) as centre:
        one = await daemon(centre.port, window=10, enquire_link=0.3, response_timeout=0.5)
        await one.send(20)
        await one.rests()
        centre.read(False)  # half open: nothing is read any more, nothing is closed
        await one.send(20)
        await one.rests()
        one.check(taken(centre), unknown=10)
        # Whichever is noticed first: the answers that do not come, or that of enquire_link.
        assert {why.split(";")[0] for state, why in one.said if state == "down"} & {
            "the SMS centre left a submit_sm without an answer for 0.5 s",
            "the peer is dead: enquire_link had no answer for 0.5 seconds",
        }


async def test_it_sends_garbage_and_absurd_lengths(daemon: Start) -> None:
    async with Centre(receipts=False) as centre:
        one = await daemon(centre.port, window=10)
        for rubbish in (b"\xff" * 64, b"\x00\x00\x00\x05hello", b"\x7f\xff\xff\xff" + bytes(12), bytes(16)):
            await centre.bound()
            centre.send(rubbish)
            await one.send(20)
            await one.rests()
        one.check(taken(centre), unknown=40)
        one.told("does not speak SMPP, or lost its place", "down")
        one.is_well()


async def test_it_splits_its_bytes_and_sends_what_nobody_asked_for(daemon: Start) -> None:
    async with Centre(receipts=False) as centre:
        one = await daemon(centre.port, window=10)
        await centre.bound()
        question = bytes.fromhex("00000010 00000015 00000000 00000001")  # enquire_link
        answer = bytes.fromhex("00000011 80000004 00000000 7ffffff0 00")
        for octet in question + answer:
            centre.send(bytes((octet,)))
            await asyncio.sleep(0)
        await one.send(20)
        assert await one.rests() == {State.ACCEPTED: 20}
        one.check(taken(centre))
        assert len(centre.binds) == 1


async def test_it_unbinds_at_will(daemon: Start) -> None:
    async with Centre(receipts=False) as centre:
        one = await daemon(centre.port, window=10)
        for _ in range(3):
            await centre.bound()
            await one.send(30)
            centre.unbind()
            await one.rests()
        await one.rests()
        one.check(taken(centre), unknown=30)
        one.told("the SMS centre unbound us", "down")
        one.is_well()


@pytest.mark.parametrize("bind", ["transceiver", "pair"])
async def test_receipts_come_before_the_answers_and_on_the_other_connection(daemon: Start, bind: str) -> None:
    async with Centre() as centre:
        centre.receipts_first = True
        one = await daemon(centre.port, window=10, bind=bind)
        await centre.bound(2 if bind == "pair" else 1)
        await one.send(50)
        async with asyncio.timeout(20):
            while (await asyncio.to_thread(one.books.states)) != {State.DELIVERED: 50}:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        one.check(taken(centre))


async def test_it_answers_by_generic_nack(daemon: Start) -> None:
    async with Centre(receipts=False) as centre:
        one = await daemon(centre.port, window=10)
        await centre.bound()
        centre.stay_silent(1)
        await one.send(1)
        await centre.taken(1)
        centre.send(bytes.fromhex("00000010 80000000 00000008 00000002"))  # RSYSERR, for the first submit_sm
        states = await one.rests(40)
        assert states == {State.ACCEPTED: 1}
        assert [taken.status for taken in centre.received] == [None, 0]
        assert one.books.faults_of_credit() == []
        assert len(centre.binds) == 1


async def test_it_answers_by_generic_nack_to_nobody_knows_what(daemon: Start) -> None:
    async with Centre(receipts=False) as centre:
        one = await daemon(centre.port, window=10)
        await centre.bound()
        centre.stay_silent(3)
        await one.send(3)
        await centre.taken(3)
        centre.send(bytes.fromhex("00000010 80000000 00000002 00000000"))
        assert await one.rests(40) == {State.UNKNOWN: 3}
        one.check(taken(centre), unknown=3)
        one.told("could not read a PDU of ours (0x00000002), and does not say which", "down")
        await centre.bound_again(2)
        await one.send(5)
        await one.rests()
        one.check(taken(centre), unknown=3)


async def test_it_never_answers(daemon: Start) -> None:
    async with Centre(receipts=False) as centre:
        centre.stay_silent()
        one = await daemon(centre.port, window=10, response_timeout=0.4)
        await one.send(30)
        states = await one.rests()
        assert states == {State.UNKNOWN: 30}
        one.check(taken(centre), unknown=30)
        one.told("left a submit_sm without an answer for 0.4 s", "down")
        centre.speak()
        await one.send(10)
        assert (await one.rests())[State.ACCEPTED] == 10
        one.check(taken(centre), unknown=30)
        one.is_well()


async def test_it_accepts_connections_and_closes_them_at_once(daemon: Start) -> None:
    async with Centre(receipts=False) as centre:
        centre.slams = True
        one = await daemon(centre.port, window=10)
        await one.send(20)
        async with asyncio.timeout(10):
            while centre.most < 1 or len(one.said) < 4:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert one.books.states() == {State.QUEUED: 20}
        one.told("; trying again in", "down")
        centre.slams = False
        assert await one.rests() == {State.ACCEPTED: 20}
        one.check(taken(centre))


async def test_its_certificate_has_another_name(daemon: Start, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    make_certificate(key, certificate, "DNS:other.example.org")
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate, key)
    trusted = ssl.create_default_context(cafile=certificate)
    async with Centre(receipts=False, tls=served) as centre:
        one = await daemon(centre.port, trusted, tls=True)
        await one.send(5)
        await one.until(lambda: any("cannot be trusted" in why for _, why in one.said))
        one.told("the certificate of 127.0.0.1", "down")
        assert one.books.states() == {State.QUEUED: 5}
        assert (centre.total, centre.binds) == (0, [])
        # The operator mends it, and nobody here has to do anything.
        make_certificate(key, certificate, "IP:127.0.0.1")
        served.load_cert_chain(certificate, key)
        trusted.load_verify_locations(certificate)
        assert await one.rests() == {State.ACCEPTED: 5}
        one.check(taken(centre))


async def test_whatever_happens_memory_stays_bounded(daemon: Start) -> None:
    async with Centre(keep=50) as centre:
        one = await daemon(centre.port, window=20)

        async def bad_hours(count: int) -> int:
            """Throttles, refusals, silence, lost connections; and then what is allocated."""
            for _ in range(count):
                for status in (0x58, 0x0B, None):
                    centre.answer_with(status, 2) if status is not None else centre.stay_silent(2)
                centre.drop_after(120)
                await one.send(150)
                await one.rests(60)
            one.said.clear()
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        tracemalloc.start()
        logging.disable(logging.CRITICAL)  # what is logged is kept by the test runner
        try:
            before = await bad_hours(2)  # whatever is made once is made
            after = await bad_hours(3)
        finally:
            logging.disable(logging.NOTSET)
            tracemalloc.stop()
        assert after - before < 400_000, f"{after - before} octets more after 450 messages"
        one.check_size()


def make_certificate(key: Path, certificate: Path, name: str) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=smsc.test"]
    command += ["-addext", f"subjectAltName={name}", "-keyout", str(key), "-out", str(certificate)]
    with contextlib.suppress(FileNotFoundError):
        subprocess.run(command, check=True, capture_output=True)
        return
    from tests.peers.presence import absent

    absent("openssl")
