"""The SMS centre drops connections, goes away, comes back and asks to be slower, while mails flow."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from itertools import islice

import pytest

from gateway.message import State
from tests.peers.daemon_process import DaemonProcess, operator, until
from tests.peers.ledgers import PAYERS, Books
from tests.peers.mail_client import Senders, mails
from tests.peers.node_smpp import NodeSmpp

pytestmark = pytest.mark.peer("node-smpp")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_what_the_centre_got_is_shown_delivered_and_nothing_comes_twice(
    serve: Callable[..., DaemonProcess], centre: NodeSmpp, books: Books
) -> None:
    """An answer is lost with each connection; the receipt tells what became of the message all the same."""
    chance = random.Random(5)
    await centre.order("set", receipts=True, delay=3)
    daemon = serve([operator(centre.port, on_unknown="park", unknown_wait="PT1S", window=10)])
    await daemon.start()
    senders = Senders(daemon.smtp)
    senders.left += islice(mails(chance, PAYERS), 400)
    pouring = asyncio.create_task(senders.pour())
    for n in range(8):
        await centre.wait(len(centre.got) + chance.randrange(10, 60))
        if n == 3:
            await centre.order("close")
            await until_says(books, "cannot reach 127.0.0.1")
            await centre.order("listen")
        elif n == 5:
            await centre.order("set", rate=100)  # what is more a second is throttled
        else:
            centre.tell("drop")
    assert await pouring
    await until(books.is_quiet, 60, books.states)
    await until(lambda: not books.states()[State.ACCEPTED], 60, books.states)
    assert books.report("operator")[0] in ("up", "throttled")
    assert await daemon.stop() == 0, daemon.said()

    got = await centre.accepted()
    assert [key for key, times in got.items() if times > 1] == []
    segments = books.segments()
    assert {one.state for one in segments} <= {State.DELIVERED, State.UNKNOWN}
    delivered = {one.key for one in segments if one.state == State.DELIVERED}
    assert delivered <= got.keys()
    # Two parts lost to one number cannot be told apart by their receipts; everything else is.
    parts = Counter(one.address for one in segments)
    assert {key for key in got.keys() - delivered if parts["+" + key[0]] == 1} == set()
    assert centre.binds >= 7
    assert books.faults_of_credit() == []


async def until_says(books: Books, words: str) -> None:
    """Returns once the route says why it is as it is in these words."""
    await until(lambda: words in books.report("operator")[1], why=lambda: books.report("operator"))


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_without_a_centre_mail_is_taken_and_waits(
    serve: Callable[..., DaemonProcess], centre: NodeSmpp, books: Books
) -> None:
    await centre.order("close")
    await centre.order("set", receipts=True)
    daemon = serve([operator(centre.port)])
    await daemon.start()
    senders = Senders(daemon.smtp)
    senders.left += islice(mails(random.Random(6), PAYERS), 20)
    assert await senders.pour()
    assert set(books.states()) == {State.QUEUED}
    await until_says(books, "cannot reach")
    status = (await daemon.status())["operator"]
    assert status["state"] == "down"
    assert status["backlog"] == len(books.segments())
    assert "Connection refused" in status["why"]
    await centre.order("listen")
    await until(lambda: set(books.states()) == {State.DELIVERED}, why=books.states)
    assert await daemon.stop() == 0, daemon.said()
    assert await centre.accepted() == {one.key: 1 for one in books.segments()}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_a_wrong_password_is_told_in_plain_words(
    serve: Callable[..., DaemonProcess], centre: NodeSmpp, books: Books
) -> None:
    await centre.order("set", password="right")
    daemon = serve([operator(centre.port, password="wrong 1")])
    await daemon.start()
    await until(lambda: books.report("operator")[0] == "refused", why=lambda: books.report("operator"))
    status = (await daemon.status())["operator"]
    assert status["state"] == "refused"
    assert "refused the bind of tocsin" in status["why"]
    assert "wrong 1" not in daemon.said()
    daemon.route["password"] = "right"
    await daemon.reload()
    await until(lambda: books.report("operator")[0] == "up", why=lambda: books.report("operator"))
