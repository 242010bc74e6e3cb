"""The SMPP transport on good days: binding, sending, receipts, rate, goodbye."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from gateway.transports.base import LinkState, ReceiptState, Result
from gateway.transports.smpp.centre import Centre
from gateway.transports.smpp.events import Mode
from gateway.transports.smpp.pdu import ShortMessage

Segments = Callable[..., Any]
Carrier = Callable[..., Any]


async def test_segments_are_accepted_once_and_their_receipts_come_in(carrier: Carrier, segment: Segments) -> None:
    async with Centre(password="secret") as centre, carrier(centre.port, password="secret") as hub:
        hub.send([segment(n) for n in range(1, 101)])
        await hub.until_settled(100)
        await hub.until(lambda: len(hub.receipts) == 100)
        assert hub.results() == {Result.ACCEPTED: 100}
        assert sorted(taken.text for taken in centre.received) == sorted(f"message {n}" for n in range(1, 101))
        ids = {outcome.segment: outcome.peer_id for outcome in hub.outcomes}
        assert ids == {int(taken.text.split()[1]): taken.id for taken in centre.received}
        assert {(r.id, r.to, r.state) for r in hub.receipts} == {
            (taken.id, taken.to, ReceiptState.DELIVERED) for taken in centre.received
        }
        outcome = hub.outcomes[0]
        assert outcome.written is not None
        assert outcome.answered is not None
        assert outcome.written <= outcome.answered
        assert outcome.code == "0x00000000"


def test_it_runs_on_uvloop(carrier: Carrier, segment: Segments) -> None:
    async def journey() -> None:
        async with Centre() as centre, carrier(centre.port) as hub:
            hub.send([segment(n) for n in range(1, 51)])
            await hub.until(lambda: len(hub.receipts) == 50)
            await hub.transport.drain(1.0)
            assert hub.results() == {Result.ACCEPTED: 50}

    uvloop.run(journey())


@pytest.mark.parametrize(
    ("bind", "modes"),
    [
        ("transceiver", [Mode.TRANSCEIVER]),
        ("transmitter", [Mode.TRANSMITTER]),
        ("receiver", [Mode.RECEIVER]),
        ("pair", [Mode.RECEIVER, Mode.TRANSMITTER]),
    ],
)
async def test_it_binds_as_the_route_says(carrier: Carrier, bind: str, modes: list[Mode]) -> None:
    async with Centre() as centre, carrier(centre.port, bind=bind) as hub:
        await centre.bound(len(modes))
        why = await hub.until_state(LinkState.UP)
        assert "bound as" in why
        assert sorted(centre.binds) == modes
        assert (hub.transport.room() > 0) is (bind != "receiver")


async def test_a_pair_sends_by_one_connection_and_hears_by_the_other(carrier: Carrier, segment: Segments) -> None:
    async with Centre() as centre, carrier(centre.port, bind="pair") as hub:
        hub.send([segment(n) for n in range(1, 31)])
        await hub.until(lambda: len(hub.receipts) == 30)
        assert hub.results() == {Result.ACCEPTED: 30}


async def test_every_connection_of_a_route_is_used(carrier: Carrier, segment: Segments) -> None:
    async with Centre() as centre, carrier(centre.port, binds=3, window=4) as hub:
        await centre.bound(3)
        await hub.until(lambda: hub.transport.room() == 12)
        centre.stay_silent()
        hub.send([segment(n) for n in range(1, 31)])
        await centre.taken(12)
        assert hub.transport.room() == 0


async def test_the_window_of_a_connection_holds(carrier: Carrier, segment: Segments) -> None:
    async with Centre() as centre, carrier(centre.port, window=5) as hub:
        centre.reverse(5)
        hub.send([segment(n) for n in range(1, 11)])
        await hub.until_settled(5)
        assert [outcome.segment for outcome in hub.outcomes[:5]] == [5, 4, 3, 2, 1]
        await hub.until_settled(10)


async def test_a_batch_goes_as_one_write(carrier: Carrier, segment: Segments, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Centre() as centre, carrier(centre.port, window=100) as hub:
        await hub.until_state(LinkState.UP)
        chunks: list[int] = []
        connection = centre._connections[0]
        read = connection.data_received
        monkeypatch.setattr(connection, "data_received", lambda data: (chunks.append(len(data)), read(data)))
        hub.send([segment(n) for n in range(1, 101)])
        await hub.until_settled(100)
        assert chunks[0] > 100 * 60


async def test_the_rate_holds_and_nothing_waits_longer_than_a_fifth_of_a_second(
    carrier: Carrier, segment: Segments
) -> None:
    async with Centre(receipts=False) as centre, carrier(centre.port, rate=100.0, window=50) as hub:
        await hub.until_state(LinkState.UP)
        assert hub.transport.room() <= 20
        begin = time.monotonic()
        hub.send([segment(n) for n in range(1, 81)])
        await hub.until_settled(80)
        assert time.monotonic() - begin >= 0.75
        assert hub.results() == {Result.ACCEPTED: 80}
        times = [outcome.written.timestamp() for outcome in hub.outcomes]
        for first, begun in enumerate(times):
            assert sum(begun <= at < begun + 0.3 for at in times[first:]) <= 100 * 0.32 + 2


async def test_what_waits_for_its_slot_comes_back_unsent_where_the_link_goes(
    carrier: Carrier, segment: Segments
) -> None:
    async with Centre(receipts=False) as centre, carrier(centre.port, rate=20.0, window=50) as hub:
        await hub.until_state(LinkState.UP)
        room = hub.transport.room()
        assert room == 4
        hub.force([segment(n) for n in range(1, room + 1)])
        await centre.taken(1)
        centre.drop()
        await hub.until_settled(room)
        unsent = hub.of(Result.UNSENT)
        assert unsent
        assert centre.total == room - len(unsent)


async def test_what_is_handed_over_without_room_comes_back_unsent(carrier: Carrier, segment: Segments) -> None:
    async with Centre() as centre, carrier(centre.port, window=3) as hub:
        assert hub.transport.room() == 0
        hub.force([segment(100)])
        assert hub.of(Result.UNSENT) == [100]
        await hub.until_state(LinkState.UP)
        centre.stay_silent()
        hub.force([segment(n) for n in range(1, 6)])
        assert hub.of(Result.UNSENT) == [100, 4, 5]


async def test_what_no_pdu_can_carry_fails_for_good(carrier: Carrier, segment: Segments) -> None:
    async with Centre() as centre, carrier(centre.port) as hub:
        await hub.until_state(LinkState.UP)
        hub.force([segment(1, to="+" + "1" * 30), segment(2, payload=b"x" * 255), segment(3)])
        await hub.until_settled(3)
        assert hub.last() == {1: Result.PERMANENT, 2: Result.PERMANENT, 3: Result.ACCEPTED}
        assert "destination has 30 characters" in hub.outcomes[0].text


async def test_a_message_from_a_handset_is_recorded_and_then_answered(carrier: Carrier) -> None:
    async with Centre() as centre, carrier(centre.port) as hub:
        await centre.bound()
        said = "déjà vu €".encode("utf-16-be")
        centre.deliver(ShortMessage("32475123456", 1, 1, "8850", 3, 0, said, data_coding=8))
        await hub.until(lambda: bool(hub.incoming_))
        heard = hub.incoming_[0]
        assert (heard.sender, heard.to, heard.text, heard.payload) == ("+32475123456", "8850", "déjà vu €", said)


async def test_an_echoed_reference_comes_with_the_receipt(carrier: Carrier, segment: Segments) -> None:
    async with Centre() as centre, carrier(centre.port) as hub:
        centre.echo = True
        hub.send([segment(0x12345)])
        await hub.until(lambda: bool(hub.receipts))
        assert hub.receipts[0].reference == 0x2345


async def test_a_receipt_may_come_before_the_answer(carrier: Carrier, segment: Segments) -> None:
    async with Centre() as centre, carrier(centre.port) as hub:
        centre.receipts_first = True
        hub.send([segment(n) for n in range(1, 11)])
        await hub.until(lambda: len(hub.receipts) == len(hub.outcomes) == 10)
        assert {receipt.id for receipt in hub.receipts} == {outcome.peer_id for outcome in hub.outcomes}


async def test_draining_waits_for_answers_takes_no_more_and_unbinds(carrier: Carrier, segment: Segments) -> None:
    async with Centre() as centre, carrier(centre.port) as hub:
        await hub.until_state(LinkState.UP)
        centre.delay = 0.2
        hub.force([segment(n) for n in range(1, 6)])
        draining = asyncio.create_task(hub.transport.drain(5.0))
        await asyncio.sleep(0)
        assert hub.transport.room() == 0
        hub.force([segment(6)])
        await draining
        await centre.unbound()
        assert hub.results() == {Result.ACCEPTED: 5, Result.UNSENT: 1}
        assert hub.states[-1][0] is LinkState.STOPPED


async def test_draining_leaves_what_is_not_answered_in_time_unknown(carrier: Carrier, segment: Segments) -> None:
    async with Centre() as centre, carrier(centre.port) as hub:
        await hub.until_state(LinkState.UP)
        centre.stay_silent()
        hub.force([segment(1), segment(2)])
        await hub.transport.drain(0.2)
        assert hub.results() == {Result.UNKNOWN: 2}


async def test_cancelling_settles_everything(carrier: Carrier, segment: Segments) -> None:
    async with Centre() as centre:
        async with carrier(centre.port) as hub:
            await hub.until_state(LinkState.UP)
            centre.stay_silent()
            hub.force([segment(1), segment(2)])
            await centre.taken(2)
        assert hub.results() == {Result.UNKNOWN: 2}
        assert hub.states[-1][0] is LinkState.STOPPED
        await centre.unbound()


async def test_neither_texts_nor_numbers_nor_the_password_are_logged(
    carrier: Carrier, segment: Segments, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with Centre(password="swordfi") as centre, carrier(centre.port, password="swordfi") as hub:
        centre.throttle(1)
        centre.answer_with(0x0B)
        hub.insists = True
        hub.send([segment(n) for n in range(1, 4)])
        await hub.until(lambda: len(hub.receipts) == 2)
        centre.drop()
        await hub.until(lambda: any("trying again" in why for _, why in hub.states))
    logged = "\n".join(record.getMessage() for record in caplog.records)
    assert "smpp_bound" in {getattr(record, "action", "") for record in caplog.records}
    for secret in ("swordfi", "message 1", "3247000", "+3247"):
        assert secret not in logged


@pytest.mark.parametrize("status", [0x0A, 0x48, 0x49])
async def test_a_refused_name_is_followed_once_by_the_numeric_sender(
    status: int, carrier: Carrier, segment: Segments
) -> None:
    async with Centre() as centre, carrier(centre.port, sender="Tocsin", numeric_sender="32475000000") as hub:
        centre.answer_with(status)
        hub.send([segment(1)])
        await hub.until_settled(1)
        assert [(one.message.source, one.message.source_ton) for one in centre.received] == [
            ("Tocsin", 5),
            ("32475000000", 1),
        ]
        assert hub.results() == {Result.ACCEPTED: 1}
        assert "with the numeric sender, after 0x000000" in hub.outcomes[0].detail
        centre.answer_with(status, 2)
        hub.send([segment(2)])
        await hub.until_settled(2)
        assert hub.outcomes[1].result is Result.PERMANENT
        assert centre.total == 4


async def test_without_a_numeric_sender_a_refused_one_is_final(carrier: Carrier, segment: Segments) -> None:
    async with Centre() as centre, carrier(centre.port, sender="Tocsin") as hub:
        centre.answer_with(0x0A)
        hub.send([segment(1)])
        await hub.until_settled(1)
        assert (hub.outcomes[0].result, centre.total) == (Result.PERMANENT, 1)


@pytest.mark.parametrize("status", [0x61, 0x62])
async def test_a_refused_validity_is_followed_once_by_none(status: int, carrier: Carrier, segment: Segments) -> None:
    async with Centre() as centre, carrier(centre.port, window=1, rate=50.0) as hub:
        centre.answer_with(status)
        hub.send([segment(1), segment(2)])
        await hub.until_settled(2)
        assert [one.message.validity_period != "" for one in centre.received] == [True, False, True]
        assert hub.results() == {Result.ACCEPTED: 2}


async def test_connections_come_and_go_as_it_is_told(carrier: Carrier, segment: Segments) -> None:
    async with Centre(receipts=False) as centre, carrier(centre.port, binds=3, rate=300.0) as hub:
        await centre.bound(3)
        assert (hub.transport.connections, hub.transport.rate) == (3, 300.0)
        centre.delay = 0.1
        hub.insists = True
        hub.send([segment(n) for n in range(1, 31)])
        hub.transport.resize(1, 100.0)
        await hub.until(lambda: len(hub.of(Result.ACCEPTED)) == 30)
        assert hub.of(Result.UNKNOWN) == [], "what was outstanding is answered before a connection is left"
        assert centre.total == 30
        await centre.bound_exactly(1)
        assert (hub.transport.connections, hub.transport.rate) == (1, 100.0)
        hub.transport.resize(0, 100.0, "another daemon has it")
        await centre.bound_exactly(0)
        assert hub.transport.room() == 0
        assert hub.states[-1] == (LinkState.STANDBY, "another daemon has it")
        hub.transport.resize(2, 200.0)
        await centre.bound(2)
        hub.send([segment(31)])
        await hub.until(lambda: len(hub.of(Result.ACCEPTED)) == 31)


async def test_a_slot_counts_until_its_connection_is_closed(carrier: Carrier, segment: Segments) -> None:
    async with Centre(receipts=False) as centre, carrier(centre.port) as hub:
        centre.delay = 0.3
        await centre.bound(1)
        hub.send([segment(1)])
        hub.transport.resize(0, None, "another daemon has it")
        hub.transport.resize(1, None)
        assert hub.transport.connections == 1
        await hub.until_settled(1)
        await centre.bound_again(2)
        hub.send([segment(2)])
        await hub.until_settled(2)
        assert hub.results() == {Result.ACCEPTED: 2}
        assert centre.most == 1


async def test_after_its_lease_it_writes_nothing_of_what_waits(segment: Segments, carrier: Carrier) -> None:
    boot = 100.0
    async with Centre(receipts=False) as centre, carrier(centre.port, rate=10.0, boot=lambda: boot) as hub:
        await centre.bound(1)
        hub.transport.renew(110.0)
        hub.force([segment(1), segment(2)])  # the second waits for its slot
        await hub.until_settled(1)
        boot = 111.0  # frozen, and woken
        assert hub.transport.room() == 0
        await hub.until_settled(2)
        assert (hub.outcomes[1].result, centre.total) == (Result.UNSENT, 1)
        assert "away for too long" in hub.outcomes[1].detail
        hub.transport.renew(120.0)
        hub.send([segment(3)])
        await hub.until_settled(3)
        assert hub.outcomes[2].result is Result.ACCEPTED


async def test_a_connection_without_messages_is_made_anew_where_that_is_wished(
    carrier: Carrier, segment: Segments
) -> None:
    async with Centre(receipts=False) as centre, carrier(centre.port, inactivity=0.3, enquire_link=0.1) as hub:
        await centre.bound_again(2)
        assert any(why.startswith("no message for 0.3 s, so the connection is made anew") for _, why in hub.states)
        centre.delay = 0.6  # longer than that is no inactivity while an answer is waited for
        binds = len(centre.binds)
        await hub.until(lambda: hub.transport.room() > 0)
        hub.send([segment(1)])
        await hub.until_settled(1)
        assert hub.results() == {Result.ACCEPTED: 1}
        assert len(centre.binds) <= binds + 1
