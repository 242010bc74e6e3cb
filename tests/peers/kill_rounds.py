"""kill -9 at any moment under load, and what must hold afterwards.

Mail servers send hundreds of mails over several connections and ask again for what was not answered, as mail servers
do. The daemon is killed at a moment nobody chose, and started again on the same store. One SMS centre, which nobody
here wrote, lives through all of it and counts by unique text.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from itertools import islice

from gateway.message import OPEN, PAID, State
from tests.peers.daemon_process import DaemonProcess, until
from tests.peers.ledgers import PAYERS, Books
from tests.peers.mail_client import Senders, mails
from tests.peers.node_smpp import NodeSmpp

#: How many mails a round begins with; so many times the rounds that are asked for are the most there are.
MAILS, MOST = 200, 3


class Rounds:
    """A daemon that is killed and started again, `count` times, and as often again as it takes until it was killed with
    something in flight; then everything comes to rest.

    The seed is printed: what is sent and about when it is killed depend on nothing else. Where the store is shared, a
    daemon waits for the leases of the one that died, so it is killed only after it has sent something.
    """

    def __init__(self, daemon: DaemonProcess, centre: NodeSmpp, books: Books) -> None:
        seed = random.SystemRandom().randrange(10**9)
        print("seed", seed)
        self._chance = random.Random(seed)
        self._daemon = daemon
        self._centre = centre
        self._books = books
        self._shared = books.url.get_backend_name() != "sqlite"
        self._senders = Senders(daemon.smtp)
        self._stream = mails(self._chance, PAYERS)
        self._died_busy = False  # it was killed with something in flight

    async def run(self, count: int) -> None:
        """All rounds, and the rest after them."""
        for n in range(MOST * count):
            if n >= count and self._died_busy:
                break
            self._daemon.route["window"] = (10, 50)[n % 2]
            await self._centre.order("set", delay=self._chance.choice((0, 0, 5, 30)))
            self._senders.left += islice(self._stream, MAILS - len(self._senders.left))
            self._chance.shuffle(self._senders.left)
            if n % 5 == 4:  # now and then it dies while it starts, too
                await self._daemon.launch()
                await asyncio.sleep(self._chance.uniform(0.3, 1.2))
                await self._daemon.kill()
            await self._round()
        await self._centre.order("set", delay=0)
        await self._daemon.start()
        while not await self._senders.pour():
            pass
        await until(self._books.is_quiet, 60, self._books.states)

    async def _round(self) -> None:
        await self._daemon.start()
        pouring = asyncio.create_task(self._senders.pour())
        await self._senders.has_taken(len(self._senders.taken) + self._chance.randrange(MAILS), pouring)
        if self._shared:
            enough = len(self._centre.got) + self._chance.randrange(1, 40)
            # Where all of it has come already, no more of it will.
            await until(lambda: len(self._centre.got) >= enough or pouring.done())
        await asyncio.sleep(self._chance.uniform(0, 0.05))
        await self._daemon.kill()
        await pouring
        self._died_busy = self._died_busy or self._books.states()[State.SUBMITTING] > 0

    async def parked(self) -> None:
        """What must hold with `on_unknown = "park"`: accepted + unknown = taken, and nothing came twice."""
        assert await self._daemon.stop() == 0, self._daemon.said()
        self._taken()
        counts = await self._centre.accepted()
        assert [key for key, times in counts.items() if times > 1] == []
        segments = self._books.segments()
        states = Counter(one.state for one in segments)
        assert len(segments) == sum(states[state] for state in PAID) + states[State.UNKNOWN]
        assert [one for one in segments if one.state in PAID and counts[one.key] != 1] == []
        assert counts.keys() <= {one.key for one in segments if one.state in PAID or one.state == State.UNKNOWN}
        assert states[State.UNKNOWN] > 0, "no round was killed with answers outstanding: this proves nothing"

    async def resent(self) -> None:
        """What must hold with `on_unknown = "resend"`: everything came, and what came twice is marked."""
        await until(lambda: not (self._books.states().keys() & OPEN), 60, self._books.states)
        assert await self._daemon.stop() == 0, self._daemon.said()
        self._taken()
        counts = await self._centre.accepted()
        segments = self._books.segments()
        assert {one.state for one in segments} <= PAID
        assert [one for one in segments if not counts[one.key]] == []
        assert [one for one in segments if counts[one.key] > 1 and not one.resent] == []
        assert any(one.resent for one in segments), "no answer was lost: this proves nothing"

    def _taken(self) -> None:
        """Every mail answered by 250 is there under its id, for each of its numbers, all parts, once; and paid."""
        refused = {reply for reply in self._senders.refused if not reply.startswith("451 4.3.0")}
        assert refused == set()
        there: dict[tuple[str, str], list[int]] = {}
        parts: Counter[str] = Counter()
        for one in self._books.segments():
            there.setdefault((str(one.message), one.address), []).append(one.n)
            parts[one.address] += 1
        for mail, message in self._senders.taken.values():
            for number in mail.numbers:
                found = there.pop((message, number), [])
                assert found, f"mail {mail.n} to {number} was acknowledged as {message} and is gone"
                assert sorted(found) == list(range(1, len(found) + 1)), f"mail {mail.n} to {number}: parts {found}"
                assert parts[number] == len(found), f"mail {mail.n} to {number} is there more than once"
        assert not there, "there is what nobody sent"
        assert self._books.faults_of_credit() == []
