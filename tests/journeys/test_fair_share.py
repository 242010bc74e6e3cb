"""A long list of one account does not delay another's single message (invariant I6)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from gateway import draft, verbs
from gateway.draft import Recipient, Request
from gateway.message import Channel, Origin
from gateway.store import schema
from tests.peers.daemon_process import DaemonProcess, operator, until
from tests.peers.houses import house
from tests.peers.ledgers import Books
from tests.peers.node_smpp import NodeSmpp

LIST, SINGLES = 6000, 10


@pytest.mark.peer("node-smpp")
async def test_a_single_message_leaves_within_a_hundred_segments_of_another_accounts_long_list(
    serve: Callable[..., DaemonProcess], centre: NodeSmpp, books: Books
) -> None:
    described = serve([operator(centre.port, window=50, receipts=False)])
    async with house(described.path, described.config) as running:
        ann, bob = running.store.read_now(lambda c: c.execute(select(schema.account.c.id)).scalars().all())[:2]

        async def send(account: int, numbers: range, text: str) -> None:
            recipients = tuple(Recipient(Channel.SMS, f"+32475{n:06}") for n in numbers)
            wanted = Request(account, Origin.API, recipients, text)
            drawn = draft.prepare(
                wanted, routes=running.routes(), now=datetime.now(UTC), max_parts=6, transliterate=True
            )
            await running.store.do(verbs.SUBMIT, drawn)

        await send(ann, range(LIST), "list")
        before: list[int] = []
        for n in range(SINGLES):
            await centre.wait(LIST // (2 * SINGLES) * (n + 1))
            await send(bob, range(900_000 + n, 900_001 + n), f"single {n}")
            await centre.counts()  # everything that came before the single was taken is heard by then
            before.append(sum(1 for one in centre.got if one.text == "list"))
        await centre.wait(LIST + SINGLES)
        await until(books.is_quiet, why=books.states)

    came = [one.text for one in centre.got]
    assert came.count("list") == LIST
    overtaken = [came[: came.index(f"single {n}")].count("list") - before[n] for n in range(SINGLES)]
    assert max(overtaken) <= 100, overtaken
    assert min(before) < LIST, "the list was still leaving"
    assert books.faults_of_credit() == []
