"""The SMPP transport against an SMS centre nobody here wrote (node-smpp), and the link read by tshark."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway import text
from gateway.message import Claimed
from gateway.transports.base import LinkState, ReceiptState, Result
from tests.peers.capture import captured, joined, tshark, tshark_says
from tests.peers.presence import require

pytestmark = [pytest.mark.peer("node-smpp")]

HOUSE = Path(__file__).parents[3]
SINK = HOUSE / "tests" / "peers" / "sink.js"

Segments = Callable[..., Any]
Carrier = Callable[..., Any]


class Sink:
    """A running `tests/peers/sink.js`: what it said, and what it can be told."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._said: list[dict[str, Any]] = []
        self.port = 0

    async def hear(self, event: str) -> dict[str, Any]:
        """The next line of this kind."""
        assert self._process.stdout is not None
        while True:
            line: dict[str, Any] = json.loads(await asyncio.wait_for(self._process.stdout.readline(), 10))
            self._said.append(line)
            if line["event"] == event:
                return line

    def tell(self, do: str, **more: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **more}).encode() + b"\n")

    async def counts(self) -> dict[str, Any]:
        self.tell("counts", all=True)
        return await self.hear("counts")

    @property
    def submits(self) -> list[dict[str, Any]]:
        """Every submit_sm heard of so far."""
        return [line for line in self._said if line["event"] == "submit"]


@contextlib.asynccontextmanager
async def sink(*options: str) -> AsyncIterator[Sink]:
    require("node-smpp")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("node", SINK, *options, stdin=pipe, stdout=pipe)
    try:
        running = Sink(process)
        running.port = (await running.hear("listening"))["port"]
        yield running
    finally:
        process.terminate()
        await process.communicate()


def parts(number: int, said: str, segment: Segments, *, concat: str = "udh8", flash: bool = False) -> list[Claimed]:
    """The segments of a text, to one number."""
    cut = text.cut(said, transliterate=False, concat=concat, flash=flash)
    payloads = cut.payloads(number)
    return [
        segment(
            number + at, n=at + 1, of=len(payloads), payload=payload, data_coding=cut.data_coding, udhi=cut.udhi,
            to="+32475123456", concat=concat if len(cut.parts) > 1 else "", reference=number,
        )
        for at, payload in enumerate(payloads)
    ]  # fmt: skip


async def test_node_smpp_reads_what_we_mean_and_we_read_its_receipts(carrier: Carrier, segment: Segments) -> None:
    said = ["hello €, {x} @ £ ñ Ω", "déjà vu", "été ćč 😀 Привет"]
    async with sink("--receipts") as centre, carrier(centre.port) as hub:
        hub.send([one for number, words in enumerate(said, 1) for one in parts(number, words, segment)])
        await hub.until(lambda: len(hub.receipts) == 3)
        await centre.counts()
        assert [submit["text"] for submit in centre.submits] == said
        assert [submit["data_coding"] for submit in centre.submits] == [0, 0, 8]
        first = centre.submits[0]
        assert (first["to"], first["dest_ton"], first["from"]) == ("32475123456", 1, "32475000000")
        assert (first["registered_delivery"], first["reference"]) == (1, 1)
        assert {(r.id, r.to, r.state) for r in hub.receipts} == {
            (outcome.peer_id, "+32475123456", ReceiptState.DELIVERED) for outcome in hub.outcomes
        }


async def test_parts_arrive_whole_and_in_order(carrier: Carrier, segment: Segments) -> None:
    long = "ab€" * 150
    async with sink() as centre, carrier(centre.port) as hub:
        segments = parts(1, long, segment)
        hub.send(segments)
        await hub.until_settled(len(segments))
        await centre.counts()
        assert "".join(submit["text"] for submit in centre.submits) == long
        total = len(segments)
        assert [submit["udh"] for submit in centre.submits] == [
            f"000301{total:02x}{n:02x}" for n in range(1, total + 1)
        ]
        assert {submit["esm_class"] for submit in centre.submits} == {0x40}


async def test_throttled_segments_get_through_once(carrier: Carrier, segment: Segments) -> None:
    async with sink("--quiet", "--throttle", "20") as centre, carrier(centre.port, window=50) as hub:
        hub.insists = True
        hub.send([segment(n) for n in range(1, 101)])
        await hub.until(lambda: len(hub.of(Result.ACCEPTED)) == 100)
        counts = await centre.counts()
        assert (counts["accepted"], counts["unique"], counts["doubled"]) == (100, 100, {})
        assert counts["throttled"] == len(hub.of(Result.THROTTLED)) == 20
        assert LinkState.THROTTLED in {state for state, _ in hub.states}


async def test_a_link_dropped_again_and_again_loses_and_doubles_nothing(carrier: Carrier, segment: Segments) -> None:
    async with sink("--quiet", "--drop-every", "200") as centre, carrier(centre.port, window=10) as hub:
        hub.insists = True
        hub.send([segment(n) for n in range(1, 1001)])
        finals = {Result.ACCEPTED, Result.UNKNOWN}
        await hub.until(lambda: len(hub.last()) == 1000 and set(hub.last().values()) <= finals)
        counts = await centre.counts()
        assert counts["dropped"] >= 4
        assert counts["doubled"] == {}
        accepted, unknown = hub.of(Result.ACCEPTED), hub.of(Result.UNKNOWN)
        assert sorted(accepted + unknown) == list(range(1, 1001))
        assert len(unknown) <= counts["dropped"] * 10
        assert set(counts["counted"]) >= {f"message {n}" for n in accepted}


async def test_its_goodbye_and_its_messages_are_answered(carrier: Carrier, segment: Segments) -> None:
    async with sink() as centre, carrier(centre.port) as hub:
        await hub.until_state(LinkState.UP)
        centre.tell("deliver", **{"from": "32475123456", "to": "8850", "text": "où es-tu?"})
        await hub.until(lambda: bool(hub.incoming_))
        assert hub.incoming_[0].text == "où es-tu?"
        centre.tell("unbind")
        await hub.until(lambda: any("unbound us" in why for _, why in hub.states))
        hub.send([segment(1)])
        await hub.until_settled(1)
        assert hub.results() == {Result.ACCEPTED: 1}


async def test_a_wrong_password_is_refused(carrier: Carrier) -> None:
    async with sink("--password", "right") as centre, carrier(centre.port, password="wrong") as hub:
        assert "RINVPASWD" in await hub.until_state(LinkState.REFUSED)


# The link, read by tshark


@pytest.mark.peer("tshark")
@pytest.mark.parametrize("concat", ["udh8", "udh16", "sar", "payload"])
async def test_tshark_reassembles_every_form_to_the_text_meant(
    concat: str, carrier: Carrier, segment: Segments, tmp_path: Path
) -> None:
    require("tshark")
    said = ["0123456789" * 40, "a€b{c}" * 50, "Привет " * 30]
    file = tmp_path / "link.pcap"
    async with sink() as centre, captured(centre.port, file):
        async with carrier(centre.port, window=50) as hub:
            segments: list[Claimed] = []
            for n, words in enumerate(said):
                segments += parts(16 * n + 1, words, segment, concat=concat)
            hub.send(segments)
            await hub.until_settled(len(segments))
            await hub.transport.drain(5.0)
        port = centre.port
    assert hub.results() == {Result.ACCEPTED: len(segments)}
    assert tshark(file, port, "_ws.malformed", "frame.number") == []
    field = "smpp.message_payload" if concat == "payload" else "gsm_sms_ud.short_msg"
    bodies = [bytes.fromhex(one) for one in joined(tshark(file, port, "smpp.command_id == 4", field), 0)]
    whole = [body for body in bodies if len(body) > 160]  # it shows the parts, too
    assert [text.decode(body, 8 * (body[:1] == b"\x04")) for body in whole] == said


@pytest.mark.peer("tshark")
async def test_tshark_finds_nothing_malformed_and_the_text_we_meant(
    carrier: Carrier, segment: Segments, tmp_path: Path
) -> None:
    require("tshark")
    plain = ["hello, {x} @ £ ñ Ω €", "déjà vu", "Привет, ćč"]
    long = ["0123456789" * 40, "ч" * 150, "a€" * 160]
    emoji = "see you \N{SMILING FACE WITH SUNGLASSES}\N{PARTY POPPER}"
    file = tmp_path / "link.pcap"
    async with sink("--receipts") as centre, captured(centre.port, file):
        async with carrier(centre.port, window=50) as hub:
            segments: list[Claimed] = []
            for words in [*plain, *long, emoji]:
                segments += parts(len(segments) + 1, words, segment)
            hub.send(segments)
            await hub.until(lambda: len(hub.receipts) == len(segments))
            await hub.transport.drain(5.0)
        port = centre.port
    assert tshark(file, port, "_ws.malformed", "frame.number") == []
    assert tshark(file, port, "smpp", "frame.number")
    submits = tshark(
        file, port, "smpp.command_id == 4", "smpp.message_text", "smpp.message", "smpp.validity_period_r",
        "smpp.destination_addr", "smpp.data_coding",
    )  # fmt: skip
    texts = joined(submits, 0)
    assert texts[: len(plain)] == plain
    assert "".join(texts[len(plain) : len(segments) - 1]) == "".join(long)
    assert bytes.fromhex(joined(submits, 1)[-1]).decode("utf-16-be") == emoji
    assert {float(seconds) for seconds in joined(submits, 2)} == {3600.0}
    assert set(joined(submits, 3)) == {"32475123456"}
    assert len(joined(submits, 4)) == len(segments)
    together = re.findall(r"Reassembled Short Message length: (\d+)", tshark_says(file, port, "-V"))
    assert together == ["400", "300", "480"]  # octets of each long text
