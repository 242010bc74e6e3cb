"""The link of the whole daemon in a capture: nothing malformed, and the text that was mailed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.message import State
from tests.peers.capture import captured, joined, tshark
from tests.peers.daemon_process import DaemonProcess, operator, until
from tests.peers.ledgers import PAYERS, Books
from tests.peers.mail_client import Connection, Mail
from tests.peers.node_smpp import NodeSmpp

pytestmark = [pytest.mark.peer("node-smpp"), pytest.mark.peer("tshark")]

#: What is mailed, and the text of each SMS it becomes; the last ones need more than one.
TEXTS = {
    "Dinner at 8, €5 for the bus: {x} [y] ~z @home £ ñ Ω": ["Dinner at 8, €5 for the bus: {x} [y] ~z @home £ ñ Ω"],
    "“déjà vu” – tonight…": ['"déjà vu" - tonight...'],
    "Привет, ćč": ["Привет, ćč"],
    "0123456789" * 20: [("0123456789" * 20)[:153], ("0123456789" * 20)[153:]],
    "ч" * 100: ["ч" * 67, "ч" * 33],
    "a" * 152 + "€" + "b" * 20: ["a" * 152, "€" + "b" * 20],
}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_tshark_reads_what_was_mailed(
    serve: Callable[..., DaemonProcess], centre: NodeSmpp, books: Books, tmp_path: Path
) -> None:
    await centre.order("set", receipts=True)
    daemon = serve([operator(centre.port, validity="PT1H")])
    file = tmp_path / "link.pcap"
    async with captured(centre.port, file):
        await daemon.start()
        connection = await Connection.open(daemon.smtp)
        for n, words in enumerate(TEXTS):
            reply = await connection.send(Mail(n, PAYERS[0], (f"+3247500000{n}",), words))
            assert reply.startswith("250 ")
        await connection.close()
        await until(lambda: set(books.states()) == {State.DELIVERED}, why=books.states)
        assert await daemon.stop() == 0, daemon.said()

    port = centre.port
    assert tshark(file, port, "_ws.malformed", "frame.number") == []
    fields = ("smpp.message_text", "smpp.destination_addr", "smpp.data_coding", "smpp.source_addr")
    submits = tshark(file, port, "smpp.command_id == 4", *fields)
    parts = [(f"3247500000{n}", part) for n, said in enumerate(TEXTS.values()) for part in said]
    assert joined(submits, 0) == [part for _, part in parts]
    assert joined(submits, 1) == [number for number, _ in parts]
    assert [int(one, 0) for one in joined(submits, 2)] == [8 if set(part) & set("Пч") else 0 for _, part in parts]
    assert set(joined(submits, 3)) == {"32475000000"}
    answers = tshark(file, port, "smpp.command_id == 0x80000004", "smpp.command_status")
    assert [int(one, 0) for one in joined(answers, 0)] == [0] * len(parts)
    receipts = tshark(file, port, "smpp.command_id == 0x80000005", "smpp.command_status")
    assert [int(one, 0) for one in joined(receipts, 0)] == [0] * len(parts)
    assert tshark(file, port, "smpp.command_id == 0x80000006", "frame.number"), "it did not say goodbye"
