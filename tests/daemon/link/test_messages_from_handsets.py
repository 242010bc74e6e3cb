"""What a handset sends is committed before the SMS centre is answered, and shown; nothing of it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from gateway.store import schema
from gateway.transports.smpp.centre import Centre
from gateway.transports.smpp.pdu import ShortMessage

Start = Callable[..., Any]
pytestmark = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)


def incoming(one: Any) -> list[Any]:
    with one.books.reading() as connection:
        return list(connection.execute(select(schema.incoming).order_by(schema.incoming.c.id)))


#: The octets of a deliver_sm_resp.
_ANSWER = 17


async def test_every_message_is_kept_before_it_is_answered(daemon: Start) -> None:
    async with Centre() as centre:
        one = await daemon(centre.port)
        await centre.bound()
        said = ["STOP", "déjà vu, 5 €", "Привет 😀", "id:1 is my number, stat: fine", ""]
        answers: list[tuple[int, int]] = []  # how many had come, and how many messages were in the store by then
        heard = centre._connections[0].session.receive

        def receive(octets: bytes, now: float) -> Any:
            before = answers[-1][0] if answers else 0
            answers.append((before + len(octets) // _ANSWER, len(incoming(one))))
            return heard(octets, now)

        centre._connections[0].session.receive = receive  # type: ignore[method-assign]
        for words in said:
            centre.deliver(ShortMessage("32475123456", 1, 1, "8850", 3, 0, words.encode("utf-16-be"), data_coding=8))
        await one.until(lambda: bool(answers) and answers[-1][0] == len(said))
        assert all(kept >= answered for answered, kept in answers), answers
        assert sorted((row.sender, row.address, row.text) for row in incoming(one)) == sorted(
            ("+32475123456", "8850", words) for words in said
        )
        assert centre.deferred == []


async def test_what_the_store_cannot_take_now_is_asked_for_again_and_kept_once(
    daemon: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Centre() as centre:
        one = await daemon(centre.port)
        await centre.bound()
        keeps = one.house.dispatcher.incoming
        failing = True

        async def keep(message: Any) -> None:
            if failing:
                raise OSError("no space left on device")
            await keeps(message)

        monkeypatch.setattr(one.house.dispatcher, "incoming", keep)
        centre.deliver(ShortMessage("32475123456", 1, 1, "8850", 3, 0, b"hello"))
        await centre.putting_off(2)
        assert set(centre.deferred) == {0x64}
        assert incoming(one) == []
        failing = False
        await one.until(lambda: bool(incoming(one)))
        await asyncio.sleep(0)
        assert [row.text for row in incoming(one)] == ["hello"]
