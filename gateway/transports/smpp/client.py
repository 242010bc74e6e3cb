"""The SMPP transport: one route's connections to its SMS centre, kept up, filled and slowed.

What `gateway/transports/base.py` asks of a transport, by links (`link.py`) and a pace (`pace.py`). Segments go to the
link with the most room at once, or, where the route has a rate, wait here for their slot: no longer than `pace.AHEAD`
seconds, and they are given back unsent if something comes between. A link that ends is replaced after a wait that
grows; refused credentials wait long, for SMS centres lock accounts that knock on.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import math
import os
import ssl
import time
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from gateway.transports.base import LinkState, Outcome, Result
from gateway.transports.smpp.backoff import Backoff, Patience, span
from gateway.transports.smpp.codec import encode
from gateway.transports.smpp.events import Mode
from gateway.transports.smpp.link import GOODBYE, Ending, Link
from gateway.transports.smpp.pace import Pace
from gateway.transports.smpp.pdu import Bind, Command
from gateway.transports.smpp.questions import Questions
from gateway.transports.smpp.status import CREDENTIALS, RESULTS, Class, meaning, outcome_of
from gateway.transports.smpp.submission import Submission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gateway.message import Claimed
    from gateway.routing import Route
    from gateway.transports.base import Hub, Question
    from gateway.transports.smpp.events import Answered
    from gateway.transports.smpp.link import Sent
    from gateway.transports.smpp.status import Meaning
    from gateway.transports.smpp.submission import Variant

log = logging.getLogger(__name__)

_MODES = {
    "transceiver": (Mode.TRANSCEIVER,),
    "transmitter": (Mode.TRANSMITTER,),
    "receiver": (Mode.RECEIVER,),
    "pair": (Mode.TRANSMITTER, Mode.RECEIVER),
}
_ACCEPTED = Class.ACCEPTED
_WALL, _BOOT = partial(datetime.now, UTC), partial(time.clock_gettime, time.CLOCK_BOOTTIME)
_LOST = "The connection to the operator's SMS centre was lost before it answered."


class _Place:
    """One connection's place: the link that holds it now, and how it is."""

    def __init__(self, slot: int, mode: Mode, backoff: Backoff) -> None:
        self.slot = slot
        self.stop = asyncio.Event()
        self.mode = mode
        self.backoff = backoff
        self.link: Link | None = None
        self.state = LinkState.CONNECTING
        self.why = "connecting"


class SmppTransport:
    """One route over SMPP; a `gateway.transports.base.Transport`.

    Raises `EncodeError` at once for a sender, system_id or password that SMPP cannot carry. `clock` is steady
    seconds, `boot` those of CLOCK_BOOTTIME, `wall` an aware UTC time; `tls` replaces the system's trust, for
    tests.
    """

    def __init__(
        self,
        route: Route,
        hub: Hub,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = _WALL,
        boot: Callable[[], float] = _BOOT,
        random: Random | None = None,
        patience: Patience | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._route = route
        self._hub = hub
        self._clock = clock
        self._wall = wall
        self._boot = boot
        self._chance = random or Random()  # noqa: S311 - jitter is no secret
        self._patience = patience or Patience()
        self._tls = tls
        self._bind = Bind(route.system_id, route.password, route.system_type)
        encode(Command.BIND_TRANSCEIVER, 1, body=self._bind)
        self._submission = Submission(route)
        self._pace = Pace(route.rate, self._chance)
        self._places: list[_Place] = []
        self._senders: list[Link] = []  # the links segments may leave by, in the order of their places
        self._group: asyncio.TaskGroup | None = None
        self._wanted = 0
        self._questions = Questions(route, hub, self._submission)
        self._until = math.inf
        self._standby = "it has no connection"
        self._waiting: deque[Claimed] = deque()
        self._pump_timer: asyncio.TimerHandle | None = None
        self._calm_timer: asyncio.TimerHandle | None = None
        self._draining = False
        self._said: tuple[LinkState, str] | None = None
        self._throttle_why = ""
        self._throttle_said = -math.inf
        self._variants: dict[int, tuple[Variant, str]] = {}  # said once more, how, and why: by the segment's id
        #: The last two numbers something was accepted for, and when.
        self._recent: deque[tuple[str, float]] = deque(maxlen=2)
        self.resize(max(1, route.binds), route.rate)

    # The contract

    async def run(self) -> None:
        """Keep the connections up until cancelled."""
        self._report()
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for place in self._places:
                    group.create_task(self._keep(place))
                await asyncio.Event().wait()  # until cancelled
        finally:
            self._group = None
            self._give_back(self._waiting, "the gateway stops")
            self._waiting.clear()
            for timer in (self._pump_timer, self._calm_timer):
                if timer is not None:
                    timer.cancel()
            self._draining = True
            self._report()

    def room(self) -> int:
        """How many segments the window and the rate let go within `pace.AHEAD` seconds."""
        return self._room(self._clock())

    def _room(self, now: float) -> int:
        if self._draining or self._boot() > self._until:
            return 0
        free = self._free()
        allowed = self._pace.room(now) if free > 0 else 0
        return max(0, (free if allowed is None else min(free, allowed)) - len(self._waiting))

    def submit(self, segments: Sequence[Claimed]) -> None:
        """Take these; what does not fit is settled as UNSENT at once."""
        now = self._clock()
        fitting = self._room(now)
        if fitting < len(segments):
            self._waiting.extend(segments[:fitting])
            self._give_back(segments[fitting:], self._unusable())
        else:
            self._waiting.extend(segments)
        if fitting > 0:  # then no more wait than the links take, and neither pause nor lease stands in the way
            self._write_due(len(self._waiting), now)
        else:
            self._pump()

    @property
    def rate(self) -> float | None:
        """Segments a second it goes at now: the route's rate, or what throttling left of it; None is no limit."""
        return self._pace.rate

    @property
    def connections(self) -> int:
        """How many slots it uses: connections open, opening, or not closed yet."""
        return len({place.slot for place in self._places})

    def resize(self, connections: int, rate: float | None, why: str = "") -> None:
        """Use so many slots and this rate from now on; those that are too many are left in good order."""
        self._standby = why or self._standby
        self._pace.resize(rate)
        staying = sorted({place.slot for place in self._places if not place.stop.is_set()})
        for place in [place for place in self._places if place.slot in staying[connections:]]:
            place.stop.set()
            if place.link is not None:
                place.link.leave("another daemon takes this connection over")
            if self._group is None:
                self._places.remove(place)
        self._wanted = connections
        self._grow()
        if self._group is not None:
            self._report()
            self._pump()

    def _grow(self) -> None:
        """Use more slots where that is wanted; one that is still being left counts until it is closed."""
        taken = {place.slot for place in self._places}
        free = (slot for slot in itertools.count() if slot not in taken)
        for slot in itertools.islice(free, max(0, self._wanted - len(taken))):
            for mode in _MODES[self._route.bind]:
                place = _Place(slot, mode, Backoff(self._patience, self._chance))
                self._places.append(place)
                if self._group is not None:
                    self._group.create_task(self._keep(place))

    def renew(self, until: float) -> None:
        """Hand nothing to a connection after this instant of CLOCK_BOOTTIME."""
        late = self._is_late()
        self._until = until
        if late and not self._draining:
            self.room_changed()

    def _is_late(self) -> bool:
        return self._boot() > self._until

    def _may_write(self) -> bool:
        return self._boot() <= self._until

    async def drain(self, seconds: float) -> None:
        """Take no more, wait for answers, settle the rest as UNKNOWN, unbind."""
        self._draining = True
        for place in self._places:
            place.stop.set()
        waiting = list(self._waiting)
        self._waiting.clear()
        self._give_back(waiting, "the gateway stops")
        links = [place.link for place in self._places if place.link is not None]
        for link in links:
            link.leave("the gateway stops")
        if links:
            await asyncio.wait([link.ended for link in links], timeout=seconds)
            for link in links:
                link.finish("the gateway stops")
            connected = [link.lost for link in links if link.connected]
            if connected:
                await asyncio.wait(connected, timeout=GOODBYE)
        self._report()

    # Sending

    def _hold_link(self, place: _Place, link: Link | None) -> None:
        """Let a place have this link."""
        place.link = link
        sending = [place for place in self._places if place.mode is not Mode.RECEIVER]
        self._senders = [place.link for place in sending if place.link is not None]

    def _free(self) -> int:
        free = 0
        for link in self._senders:
            free += link.room
        return free

    def _pump(self) -> None:
        """Write what waits and has its slot; the rest at its time, or, if the link cannot, not at all."""
        now = self._clock()
        free = self._free() if self._waiting else 0
        if free > 0 and now >= self._pace.paused_until and not self._is_late():
            self._write_due(min(free, len(self._waiting)), now)
            return
        waiting = list(self._waiting)
        self._waiting.clear()
        self._give_back(waiting, self._unusable())
        self._arm(now)

    def _write_due(self, wanted: int, now: float) -> None:
        """Write as many of these as have their slot now, and look again when the next has."""
        count = self._pace.take(wanted, now)
        if count == len(self._waiting):
            due = list(self._waiting)
            self._waiting.clear()
        else:
            due = [self._waiting.popleft() for _ in range(count)]
        if due:
            self._write(due)
        self._arm(now)

    def _write(self, segments: list[Claimed]) -> None:
        """Write these, no more than there is room for: to the link with the most room first."""
        if len(self._senders) == 1:
            self._senders[0].submit(segments)
            return
        at = 0
        for link in sorted(self._senders, key=lambda link: link.room, reverse=True):
            part = segments[at : at + link.room]
            if part:
                link.submit(part)
            at += len(part)

    def _arm(self, now: float) -> None:
        wakes = self._pace.wakes(now, waiting=bool(self._waiting))
        if self._pump_timer is not None:
            self._pump_timer.cancel()
            self._pump_timer = None
        if wakes is not None and not self._draining:
            self._pump_timer = asyncio.get_running_loop().call_later(max(0.001, wakes - now), self._wake)

    def _wake(self) -> None:
        self._pump_timer = None
        self._pump()
        self.room_changed()

    def _unusable(self) -> str:
        if self._draining:
            return "the gateway stops"
        if self._is_late():
            return "this daemon was away for too long, and writes nothing until its lease is renewed"
        return self._said[1] if self._said else "not connected yet"

    def _give_back(self, segments: Iterable[Claimed], why: str) -> None:
        for segment in segments:
            self._variants.pop(segment.id, None)
            self._hub.settled(Outcome(segment.id, Result.UNSENT, detail=why))

    # What links tell (link.Owner)

    def bound(self, link: Link) -> None:
        """A link is bound."""
        place = self._place_of(link)
        place.state = LinkState.UP
        place.why = f"bound as {place.mode} to {self._peer()}"
        log.info("route %s: %s", self._route.name, place.why, extra={"action": "smpp_bound"})
        self._report()
        asyncio.get_running_loop().call_later(place.backoff.patience.proof, self._proven, place, link)
        self.room_changed()

    def answered(self, link: Link, answers: Sequence[tuple[Sent, Answered]], now: float) -> None:
        """Settle what the SMS centre answered, and learn from it how fast to go."""
        answered = self._wall()
        taken = False
        for sent, answer in answers:
            said = meaning(answer.status, self._route.status)
            if said.what is _ACCEPTED:
                taken = True
                if self._pace.level is not None:
                    self._pace.accepted(sent.steady, now)
                self._note_accepted(sent.segment.to, now)
                result = Result.ACCEPTED
            elif said.what in (Class.THROTTLE, Class.QUEUE_FULL):
                result = self._throttled(sent, said, now)
            elif self._once_more(sent, said):
                continue
            else:
                result = RESULTS[said.what]
                if said.what is Class.SESSION:
                    link.leave(f"the SMS centre says the session is not in order ({said.code} {said.name})")
            outcome = outcome_of(sent, said, result, answer, answered)
            variant = self._variants.pop(sent.segment.id, None) if self._variants else None
            if variant is not None:
                outcome = replace(outcome, detail=f"{outcome.detail} {variant[0]}, after {variant[1]}".lstrip())
            self._hub.settled(outcome)
        if taken and not link.proven:  # what it begins with anew, a link that lives cannot change
            link.proven = True
            self._place_of(link).backoff.reset()
        self.room_changed()

    def _once_more(self, sent: Sent, said: Meaning) -> bool:
        """Say it once more in another way where that may mend the refusal; whether it waits for that now."""
        segment = sent.segment
        variant = self._submission.other_way(said.status) if said.what is Class.PERMANENT else None
        if variant is None or segment.id in self._variants or self._draining:
            return False
        self._variants[segment.id] = (variant, f"{said.code} {said.name}")
        self._waiting.appendleft(segment)
        return True

    def _body(self, segment: Claimed) -> bytes:
        variant = self._variants.get(segment.id) if self._variants else None
        return self._submission.body(segment, variant[0] if variant else None)

    def answered_late(self, sent: Sent, answer: Answered) -> None:
        """An answer after all: it is told, whatever it is; the pace learns nothing from so long ago."""
        said = meaning(answer.status, self._route.status)
        result = RESULTS.get(said.what, Result.TRANSIENT)
        log.info(
            "route %s: the answer to segment %d came late: %s",
            self._route.name,
            sent.segment.id,
            said.code,
            extra={"action": "smpp_answered_late", "segment": sent.segment.id},
        )
        self._hub.settled(outcome_of(sent, said, result, answer, self._wall()))

    def may_ask(self) -> int:
        """How many questions it would take this moment."""
        return 0 if self._draining else self._questions.room(self._senders)

    def ask(self, questions: Sequence[Question]) -> None:
        """Ask these by query_sm, each on a link that has room; those that have none are asked another time."""
        self._questions.ask(self._senders, questions)

    def reported(self, question: Question, answer: Answered | None) -> None:
        """An answer to a query_sm; None: there was none."""
        self._questions.reported(question, answer)

    def given_up(self, sent: Iterable[Sent], why: str) -> None:
        """Written and not answered is unknown; not written is unsent."""
        for one in sent:
            self._variants.pop(one.segment.id, None)
            if one.written is None:
                self._hub.settled(Outcome(one.segment.id, Result.UNSENT, detail=why))
            else:
                self._hub.settled(Outcome(one.segment.id, Result.UNKNOWN, text=_LOST, detail=why, written=one.written))

    def impossible(self, segment: Claimed, why: str) -> None:
        """What does not fit into a PDU never will."""
        self._variants.pop(segment.id, None)
        self._hub.settled(Outcome(segment.id, Result.PERMANENT, text=f"It cannot be sent by SMS: {why}.", detail=why))

    def room_changed(self) -> None:
        """Write what waits, and ask for more."""
        if self._waiting:
            self._pump()
        if self.room() > 0:
            self._hub.more_room(self._route.name)

    def leaving(self, link: Link, why: str) -> None:
        """A link is on its way out: say so now, what follows may take a while."""
        place = self._place_of(link)
        if place.state is LinkState.UP:
            place.state, place.why = LinkState.DOWN, why
            self._report()

    def _note_accepted(self, number: str, now: float) -> None:
        recent = self._recent
        if recent and recent[-1][0] == number:
            recent[-1] = number, now
        else:
            recent.append((number, now))

    def _throttled(self, sent: Sent, said: Meaning, now: float) -> Result:
        """Slow the whole route; but where other numbers get through, a full queue is this number's own."""
        others = (when for number, when in self._recent if number != sent.segment.to)
        if said.what is Class.QUEUE_FULL and any(when >= sent.steady for when in others):
            return Result.TRANSIENT
        new = not self._pace.is_throttled(now)
        paused = self._pace.throttled(sent.steady, now)
        if new or paused or now >= self._throttle_said + 5.0:
            self._say_throttled(said, now)
        if paused:
            self._pump()
        return Result.THROTTLED

    def _say_throttled(self, said: Meaning, now: float) -> None:
        """Say so at once, and then not oftener than a second apart: there may be hundreds of them a second."""
        if now < self._throttle_said + 1.0:
            return
        self._throttle_said = now
        rate, refused = self._pace.rate or 0.0, self._pace.refused
        more = f", for {refused:.0%} of what it is sent, however fast" if refused else ""
        self._throttle_why = (
            f"the SMS centre asked to be slower ({said.code} {said.name}){more}; now {rate:.0f} a second"
        )
        log.warning(
            "route %s: %s, after a pause of %.1f s",
            self._route.name,
            self._throttle_why,
            max(0.0, self._pace.paused_until - now),
            extra={"action": "smpp_throttled"},
        )
        self._report()
        self._watch_calm(now)

    def _watch_calm(self, now: float) -> None:
        if self._calm_timer is None:
            wait = max(0.01, self._pace.calm_at() - now)
            self._calm_timer = asyncio.get_running_loop().call_later(wait, self._calm)

    def _calm(self) -> None:
        self._calm_timer = None
        now = self._clock()
        if self._pace.is_throttled(now):
            self._watch_calm(now)
        else:
            self._report()

    # Connections

    async def _keep(self, place: _Place) -> None:
        """One connection after the other, until it is told to stop."""
        try:
            await self._keep_on(place)
        finally:
            if place in self._places and not self._draining:
                self._places.remove(place)
                if place.stop.is_set():
                    self._grow()
                    self._report()

    async def _keep_on(self, place: _Place) -> None:
        while not place.stop.is_set():
            ending = await self._one_link(place)
            if place.stop.is_set():
                return
            refused = ending.refused in CREDENTIALS
            wait = place.backoff.refused() if refused else place.backoff.wait()
            why = ending.why
            if ending.refused is not None:
                said = meaning(ending.refused)
                why = f"{self._peer()} refused the bind of {self._route.system_id} ({said.code} {said.name})"
            place.state = LinkState.REFUSED if refused else LinkState.DOWN
            place.why = f"{why}; trying again in {span(wait)}"
            log.log(
                logging.ERROR if refused else logging.WARNING,
                "route %s: %s",
                self._route.name,
                place.why,
                extra={"action": "smpp_refused" if refused else "smpp_down"},
            )
            self._report()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):  # not wait_for, which up to Python 3.11 may lose a cancellation
                    await place.stop.wait()

    async def _one_link(self, place: _Place) -> Ending:
        link = Link(
            self._route,
            place.mode,
            self._bind,
            owner=self,
            hub=self._hub,
            body=self._body,
            clock=self._clock,
            wall=self._wall,
            may_write=self._may_write,
        )
        self._hold_link(place, link)
        try:
            why = await self._connect(link)
            return Ending(why) if why else await asyncio.shield(link.ended)
        except asyncio.CancelledError:
            link.stop()
            raise
        finally:
            link.finish("the gateway stops")
            self._hold_link(place, None)
            if self._waiting:
                self._pump()
            if link.connected:  # let it close, so that nothing of it is left behind
                await asyncio.wait([link.lost], timeout=2 * GOODBYE)

    async def _connect(self, link: Link) -> str | None:
        """None when there is a connection; else why there is none."""
        route = self._route
        try:
            async with asyncio.timeout(route.response_timeout):
                tls = (self._tls or ssl.create_default_context()) if route.tls else None
                name = route.host if route.tls else None
                loop = asyncio.get_running_loop()
                await loop.create_connection(lambda: link, route.host, route.port, ssl=tls, server_hostname=name)
        except ssl.SSLCertVerificationError as error:
            return f"the certificate of {self._peer()} cannot be trusted: {error.verify_message}"
        except ssl.SSLError as error:
            return f"TLS with {self._peer()} failed: {error.reason or error}"
        except TimeoutError:
            return f"{self._peer()} did not answer within {route.response_timeout:g} seconds"
        except OSError as error:
            plain = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
            return f"cannot reach {self._peer()}: {plain}"
        return None

    def _proven(self, place: _Place, link: Link) -> None:
        if place.link is link and link.is_bound:
            place.backoff.reset()

    def _place_of(self, link: Link) -> _Place:
        return next(place for place in self._places if place.link is link)

    def _peer(self) -> str:
        return f"{self._route.host}:{self._route.port}"

    # How it is

    def _report(self) -> None:
        state, why = self._how()
        if (state, why) != self._said:
            self._said = (state, why)
            self._hub.state(self._route.name, state, why)

    def _how(self) -> tuple[LinkState, str]:
        """The route's state, and one sentence: that of the connections segments leave by, the best of them first."""
        if self._draining:
            return LinkState.STOPPED, "the gateway stops"
        places = [place for place in self._places if not place.stop.is_set()]
        if not places:
            return LinkState.STANDBY, self._standby
        carrying = [place for place in places if place.mode is not Mode.RECEIVER] or places
        up = [place for place in carrying if place.state is LinkState.UP]
        other = next((place for place in places if place.state is not LinkState.UP), None)
        if not up:
            worst = next((place for place in carrying if place.state is LinkState.REFUSED), carrying[0])
            return worst.state, worst.why
        why = up[0].why
        if other is not None:
            why += f"; {len(up)} of {len(places)} connections, for another {other.why}"
        if self._pace.is_throttled(self._clock()):
            return LinkState.THROTTLED, self._throttle_why
        return LinkState.UP, why
