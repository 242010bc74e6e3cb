"""kill -9 at any moment under load: nothing acknowledged is lost, nothing comes twice, the credit is exact.

Mail servers send hundreds of mails over several connections and ask again for what was not answered, as mail servers
do. The daemon is killed at a moment nobody chose, and started again on the same store. One SMS centre, which nobody
here wrote, lives through all of it and counts by unique text.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from itertools import islice

import pytest

from gateway.message import OPEN, PAID, State
from tests.peers.daemon_process import DaemonProcess, operator, until
from tests.peers.ledgers import PAYERS, Books
from tests.peers.mail_client import Senders, mails
from tests.peers.node_smpp import NodeSmpp

pytestmark = [pytest.mark.peer("node-smpp"), pytest.mark.timeout(180)]

MAILS = 200
SERVE = Callable[..., DaemonProcess]


async def rounds(
    daemon: DaemonProcess, centre: NodeSmpp, books: Books, chance: random.Random, *, count: int
) -> Senders:
    """Kill and restart `count` times while mails pour in; then let everything come to rest."""
    stream = mails(chance, PAYERS)
    senders = Senders(daemon.smtp)
    for n in range(count):
        daemon.route["window"] = (10, 50)[n % 2]
        await centre.order("set", delay=chance.choice((0, 0, 5, 30)))
        senders.left += islice(stream, MAILS - len(senders.left))
        chance.shuffle(senders.left)
        if n % 5 == 4:  # now and then it dies while it starts, too
            await daemon.launch()
            await asyncio.sleep(chance.uniform(0.3, 1.2))
            await daemon.kill()
        await daemon.start()
        pouring = asyncio.create_task(senders.pour())
        await senders.has_taken(len(senders.taken) + chance.randrange(MAILS), pouring)
        await asyncio.sleep(chance.uniform(0, 0.05))
        await daemon.kill()
        await pouring
    await centre.order("set", delay=0)
    await daemon.start()
    while not await senders.pour():
        pass
    await until(books.is_quiet, 60, books.states)
    assert await daemon.stop() == 0, daemon.said()
    assert not [reply for reply in senders.refused if not reply.startswith("451 4.3.0")], set(senders.refused)
    return senders


def check_taken(senders: Senders, books: Books) -> None:
    """Every mail answered by 250 is there under its id, for each of its numbers, all parts, once."""
    there: dict[tuple[str, str], list[int]] = {}
    parts: Counter[str] = Counter()
    for one in books.segments():
        there.setdefault((str(one.message), one.address), []).append(one.n)
        parts[one.address] += 1
    for mail, message in senders.taken.values():
        for number in mail.numbers:
            found = there.pop((message, number), [])
            assert sorted(found) == list(range(1, len(found) + 1)), f"mail {mail.n} to {number}: parts {found}"
            assert found, f"mail {mail.n} to {number} was acknowledged as {message} and is gone"
            assert parts[number] == len(found), f"mail {mail.n} to {number} is there more than once"
    assert not there, "there is what nobody sent"


@pytest.mark.parametrize(
    ("database", "count"),
    [("sqlite", 20), pytest.param("postgresql", 5, marks=pytest.mark.peer("postgresql"))],
    indirect=["database"],
)
async def test_with_park_nothing_comes_twice(
    serve: SERVE, centre: NodeSmpp, books: Books, count: int, request: pytest.FixtureRequest
) -> None:
    seed = random.SystemRandom().randrange(10**9)
    print("seed", seed)
    daemon = serve([operator(centre.port, on_unknown="park", unknown_wait="PT1S")])
    senders = await rounds(daemon, centre, books, random.Random(seed), count=count)
    check_taken(senders, books)
    counts = await centre.accepted()
    assert [key for key, times in counts.items() if times > 1] == []
    segments = books.segments()
    states = Counter(one.state for one in segments)
    print(dict(states), "tries", senders.tries, "taken", len(senders.taken))
    assert len(segments) == sum(states[state] for state in PAID) + states[State.UNKNOWN]
    assert [one for one in segments if one.state in PAID and counts[one.key] != 1] == []
    assert counts.keys() <= {one.key for one in segments if one.state in PAID or one.state == State.UNKNOWN}
    assert states[State.UNKNOWN] > 0, "no round was killed with answers outstanding: the test proves nothing"
    assert books.faults_of_credit() == []


@pytest.mark.parametrize(
    ("database", "count"),
    [("sqlite", 8), pytest.param("postgresql", 4, marks=pytest.mark.peer("postgresql"))],
    indirect=["database"],
)
async def test_with_resend_everything_comes(serve: SERVE, centre: NodeSmpp, books: Books, count: int) -> None:
    seed = random.SystemRandom().randrange(10**9)
    print("seed", seed)
    daemon = serve([operator(centre.port, on_unknown="resend", unknown_wait="PT1S")])
    senders = await rounds(daemon, centre, books, random.Random(seed), count=count)
    await daemon.start()
    await until(lambda: not (books.states().keys() & OPEN), 60, books.states)
    assert await daemon.stop() == 0, daemon.said()
    check_taken(senders, books)
    counts = await centre.accepted()
    segments = books.segments()
    assert {one.state for one in segments} <= PAID
    assert [one for one in segments if not counts[one.key]] == []
    doubled = [one for one in segments if counts[one.key] > 1]
    print("doubled", len(doubled), "resent", sum(one.resent for one in segments))
    assert [one for one in doubled if not one.resent] == []
    assert any(one.resent for one in segments), "no answer was lost: the test proves nothing"
    assert books.faults_of_credit() == []
