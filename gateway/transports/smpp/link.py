"""One connection to an SMS centre: an asyncio protocol around a session.

A link lives once. It connects, binds, carries segments until something ends it, and settles every segment it was
handed: `answered`, or `given_up` as written (the answer is lost) or not written (certainly not taken). Octets go to the
connection only while it takes them, so what piles up here in front of a peer that stops reading counts as not written.

Leaving is polite and in order: no more submits; what is outstanding is waited for, what arrived is recorded and
answered; then unbind, and the connection is closed. A timed-out answer and the centre's own unbind leave so, too:
tearing the connection down at once would make unknown what could still be answered.
"""

from __future__ import annotations

import asyncio
import logging
import math
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from gateway.transports.smpp.events import (
    Answered,
    Arrived,
    BindRefused,
    Bound,
    Fault,
    Ignored,
    Role,
    TimedOut,
    Unbound,
)
from gateway.transports.smpp.inbound import Inbound
from gateway.transports.smpp.pdu import EncodeError, name_of
from gateway.transports.smpp.session import Phase, Session, Timers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from gateway.message import Claimed
    from gateway.routing import Route
    from gateway.transports.base import Hub, Question
    from gateway.transports.smpp.events import Event, Mode
    from gateway.transports.smpp.pdu import Bind, Query

log = logging.getLogger(__name__)

#: Octets the operating system did not take yet, above which nothing more is written.
WRITE_LIMIT = 16 * 1024
#: Octets the kernel may hold of what the peer's window has no room for; with `WRITE_LIMIT`, some 200 segments in all.
UNSENT_OCTETS = 16 * 1024
#: submit_sm in one write at most.
PIECE = 100
#: PDUs waiting to be written to a peer that does not read, above which we do not read from it either.
UNSENT_LIMIT = 1000
#: PDUs without consequence that are worth a warning each, on one connection; what follows is for debugging.
IGNORED_LIMIT = 20
#: Seconds for the last words: an answer to our unbind; the closing of the connection.
GOODBYE = 2.0
#: Seconds the centre may still answer what is outstanding, after its own unbind.
AFTER_UNBIND = 2.0


@dataclass(slots=True, eq=False)
class Sent:
    """A segment handed to the session. `steady` and `written`: when its octets went to the connection, if they did."""

    segment: Claimed
    steady: float = math.inf
    written: datetime | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a link ended: a clause for people; `refused` is the command_status of a bind that was refused."""

    why: str
    refused: int | None = None


class Owner(Protocol):
    """Who is told what happens on a link."""

    def bound(self, link: Link) -> None:
        """It is bound."""

    def answered(self, link: Link, answers: Sequence[tuple[Sent, Answered]], now: float) -> None:
        """The SMS centre answered these."""

    def answered_late(self, sent: Sent, answer: Answered) -> None:
        """The SMS centre answered after all what was given up."""

    def reported(self, question: Question, answer: Answered | None) -> None:
        """The SMS centre answered a query_sm; None: it did not."""

    def given_up(self, sent: Iterable[Sent], why: str) -> None:
        """These will not be answered; those that were not written were certainly not taken."""

    def impossible(self, segment: Claimed, why: str) -> None:
        """This cannot be said in SMPP."""

    def room_changed(self) -> None:
        """A link may take more than before."""

    def leaving(self, link: Link, why: str) -> None:
        """It takes no more, and will end."""


class Link(asyncio.Protocol):
    """One connection; `ended` is done when it is of no more use, `lost` when its connection is gone."""

    def __init__(
        self,
        route: Route,
        mode: Mode,
        bind: Bind,
        *,
        owner: Owner,
        hub: Hub,
        body: Callable[[Claimed], bytes],
        clock: Callable[[], float],
        wall: Callable[[], datetime],
        may_write: Callable[[], bool],
    ) -> None:
        loop = asyncio.get_running_loop()
        self.mode = mode
        self.proven = False  # whether its centre has accepted anything; the owner's note
        self.ended: asyncio.Future[Ending] = loop.create_future()
        self.lost: asyncio.Future[None] = loop.create_future()
        self._route = route
        self._bind = bind
        self._owner = owner
        self._body = body
        self._clock = clock
        self._wall = wall
        self._may_write = may_write
        self._session: Session | None = None
        self._transport: asyncio.Transport | None = None
        self._sent: dict[int, Sent] = {}
        self._late: dict[int, Sent] = {}  # given up; at most the window of them
        self._asked: dict[int, Question] = {}
        self._unwritten: list[Sent] = []
        self._inbound = Inbound(
            route.name, hub, answer=self._answer, hold=self._hold_for_inbound, idle=self._leave_if_done
        )
        self._leaving = False
        self._why = ""
        self._full = False  # the peer does not read
        self._holds: set[str] = set()  # why we do not read
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._last_words: asyncio.TimerHandle | None = None
        self._flush_soon: asyncio.Handle | None = None
        self._ignored = 0

    # What the owner asks and orders

    @property
    def is_bound(self) -> bool:
        """Whether it is bound and not about to leave."""
        return self._session is not None and self._session.phase is Phase.BOUND and not self._leaving

    @property
    def connected(self) -> bool:
        """Whether there is, or was, a connection."""
        return self._transport is not None

    @property
    def room(self) -> int:
        """How many segments it takes this moment."""
        return 0 if self._session is None or self._leaving or self._full else self._session.room

    def submit(self, segments: Iterable[Claimed]) -> None:
        """Write these, no more than `room`, many as one piece; what a peer that does not read leaves no room for waits
        in the session, and counts as not written."""
        session = self._session
        assert session is not None
        now = self._clock()
        for count, segment in enumerate(segments):
            if count % PIECE == 0 and count:
                self._flush()
            try:
                sequence = session.submit(self._body(segment), now)
            except EncodeError as error:
                self._owner.impossible(segment, str(error))
                continue
            sent = self._sent[sequence] = Sent(segment)
            self._unwritten.append(sent)
        self._flush()

    @property
    def may_ask(self) -> bool:
        """Whether a query_sm may go now: one at a time, and never in the way of the last submit_sm of the window."""
        return not self._asked and self.room > 0

    def ask(self, question: Question, query: Query) -> None:
        """Send a query_sm; the owner is told what it was answered."""
        assert self._session is not None
        self._asked[self._session.query(query, self._clock())] = question
        self._flush()

    def leave(self, why: str) -> None:
        """Take no more, wait for what is outstanding, unbind, close."""
        self._set_leaving(why)
        self._leave_if_done()

    def finish(self, why: str, *, refused: int | None = None) -> None:
        """End now: settle everything, say goodbye if that is possible, close."""
        if self.ended.done():
            return
        self._set_leaving(why)
        session, transport = self._session, self._transport
        if session is not None:
            if session.phase is Phase.BOUND:
                session.unbind(self._clock())
            self._flush()
            session.close()
        if self._timer is not None:
            self._timer.cancel()
        self.ended.set_result(Ending(self._why, refused))
        for question in self._asked.values():
            self._owner.reported(question, None)
        self._asked.clear()
        given_up = list(self._sent.values())
        self._sent.clear()
        self._unwritten.clear()
        self._owner.given_up(given_up, self._why)
        if transport is not None and self._full:
            transport.abort()
        elif transport is not None:
            transport.close()
            asyncio.get_running_loop().call_later(GOODBYE, transport.abort)

    def stop(self) -> None:
        """Give up what is being recorded of what arrived."""
        self._inbound.stop()

    # What the connection tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Bind as soon as there is a connection."""
        self._transport = cast("asyncio.Transport", transport)
        if self.ended.done():  # it was given up while it was being connected
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=WRITE_LIMIT)
        now = self._clock()
        response = self._route.response_timeout
        timers = Timers(
            bind=response,
            response=response,
            enquire_link=self._route.enquire_link or None,
            inactivity=self._route.inactivity,
        )
        self._bound_unsent()
        self._session = Session(Role.ESME, window=self._route.window, now=now, timers=timers)
        self._session.bind(self.mode, self._bind, now)
        self._flush()

    def _bound_unsent(self) -> None:
        """Leave little with the kernel that it has not sent yet: it would, were this daemon frozen or gone for long."""
        connection = self._transport.get_extra_info("socket") if self._transport is not None else None
        if connection is not None and hasattr(socket, "TCP_NOTSENT_LOWAT"):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_OCTETS)

    def data_received(self, data: bytes) -> None:
        """Let the session read it, and act."""
        session = self._session
        if session is None:
            return
        now = self._clock()
        try:
            self._act(session.receive(data, now), now)
        except Exception as defect:
            self._failed(defect)

    def eof_received(self) -> None:
        """The peer will send no more: nothing can be answered any more."""
        self._over("the SMS centre closed the connection")

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, whoever wished it."""
        if self._session is not None:
            self._session.close()
        self._over(f"the connection was lost: {exc}" if exc else "the SMS centre closed the connection")
        if not self.lost.done():
            self.lost.set_result(None)

    def _over(self, why: str) -> None:
        try:
            self.finish(why)
        except Exception as defect:
            self._failed(defect)

    def pause_writing(self) -> None:
        """The peer does not read what we write."""
        self._full = True

    def resume_writing(self) -> None:
        """It reads again."""
        self._full = False
        self._hold("write", False)
        self._flush()
        self._owner.room_changed()

    # Acting on events

    def _act(self, events: Sequence[Event], now: float) -> None:
        answers: list[tuple[Sent, Answered]] = []
        arrivals: list[Arrived] = []
        for event in events:
            if type(event) is Arrived:
                arrivals.append(event)
            elif type(event) is Answered:
                sent = self._sent.pop(event.sequence, None)
                if sent is not None:
                    answers.append((sent, event))
                else:
                    self._answered_aside(event)
            else:
                self._pass_on(answers, arrivals, now)
                answers, arrivals = [], []
                self._act_on(event)
        self._pass_on(answers, arrivals, now)
        session = self._session
        if session is not None and session.phase is Phase.UNBINDING and not self._leaving:
            self._set_leaving(f"no message for {self._route.inactivity or 0:g} s, so the connection is made anew")
            self._end_within(GOODBYE)
        if self._leaving:
            self._leave_if_done()
        if not self.ended.done():
            self._flush()

    def _answered_aside(self, answer: Answered) -> None:
        """An answer to a question, or to what was given up."""
        if answer.sequence in self._asked:
            self._owner.reported(self._asked.pop(answer.sequence), answer)
            self._owner.room_changed()
        elif answer.late and (late := self._late.pop(answer.sequence, None)) is not None:
            self._owner.answered_late(late, answer)

    def _pass_on(self, answers: Sequence[tuple[Sent, Answered]], arrivals: Sequence[Arrived], now: float) -> None:
        """What came together goes on together, answers before the receipts that speak of them."""
        if answers:
            self._owner.answered(self, answers, now)
        for arrived in arrivals:
            self._inbound.arrived(arrived)

    def _act_on(self, event: Event) -> None:
        if isinstance(event, Bound):
            self._owner.bound(self)
        elif isinstance(event, BindRefused):
            self.finish("the SMS centre refused the bind", refused=event.status)
        elif isinstance(event, Fault):
            self.finish(event.why)
        elif isinstance(event, TimedOut):
            self._overdue(event.sequence)
        elif isinstance(event, Unbound):
            self._unbound(event)
        elif isinstance(event, Ignored):
            self._ignored += 1
            log.log(
                logging.WARNING if self._ignored <= IGNORED_LIMIT else logging.DEBUG,
                "route %s: ignored %s (sequence %d, status 0x%08X): %s",
                self._route.name,
                name_of(event.command),
                event.sequence,
                event.status,
                event.why,
                extra={"action": "smpp_ignored"},
            )

    def _overdue(self, sequence: int) -> None:
        why = f"no answer within {self._route.response_timeout:g} seconds"
        if (question := self._asked.pop(sequence, None)) is not None:
            self._owner.reported(question, None)
            self._owner.room_changed()
            return
        sent = self._sent.pop(sequence, None)
        if sent is not None:
            if sent in self._unwritten:  # a peer that does not read; it must not be written any more
                self._unwritten.remove(sent)
                self.finish(why)
            else:
                self._late[sequence] = sent
            self._owner.given_up([sent], why)
        self._set_leaving(f"the SMS centre left a submit_sm without an answer for {self._route.response_timeout:g} s")

    def _unbound(self, event: Unbound) -> None:
        if not event.by_peer:
            self.finish("unbound")
            return
        self._set_leaving("the SMS centre unbound us")
        self._end_within(AFTER_UNBIND)

    def _set_leaving(self, why: str) -> None:
        if not self._leaving:
            self._leaving, self._why = True, why
            self._owner.leaving(self, why)

    def _leave_if_done(self) -> None:
        """Go on leaving, once nothing is outstanding in either direction."""
        session = self._session
        if not self._leaving or self.ended.done():
            return
        if session is None or session.phase in (Phase.OPEN, Phase.BINDING, Phase.CLOSED):
            self.finish(self._why)
        elif self._sent or self._inbound.busy:
            return
        elif self._late and self._last_words is None and session.phase is Phase.BOUND:
            self._end_within(GOODBYE)  # what was given up may still be answered
        elif self._late and session.phase is Phase.BOUND:
            return
        elif session.phase is Phase.BOUND:
            session.unbind(self._clock())
            self._flush()
            self._end_within(GOODBYE)
        elif session.phase is Phase.UNBOUND:
            self.finish(self._why)

    def _end_within(self, seconds: float) -> None:
        if self._last_words is None:
            self._last_words = asyncio.get_running_loop().call_later(seconds, lambda: self.finish(self._why))

    # Writing, reading, time

    def _answer(self, request: Arrived, status: int) -> None:
        """Answer what arrived; many answers of one turn of the loop go as one piece."""
        if self._session is None:
            return
        self._session.answer(request, status)
        if self._flush_soon is None:
            self._flush_soon = asyncio.get_running_loop().call_soon(self._flush_answers)

    def _flush_answers(self) -> None:
        self._flush_soon = None
        self._flush()

    def _flush(self) -> None:
        session, transport = self._session, self._transport
        if session is None or transport is None or self.lost.done():
            return
        if self._full:
            if session.unsent > UNSENT_LIMIT:
                self._hold("write", True)
        elif session.unsent:
            if self._unwritten and not self._may_write():
                # It waited in front of a peer that did not read, and may be another daemon's by now: never write it.
                session.close()
                transport.abort()
                self.finish("this daemon was away for too long")
                return
            if self._unwritten:
                steady, written = self._clock(), self._wall()
                for sent in self._unwritten:
                    sent.steady = steady
                    sent.written = written
                self._unwritten.clear()
            transport.write(session.data_to_send())
        self._arm(session)

    def _hold_for_inbound(self, hold: bool) -> None:
        self._hold("inbound", hold)

    def _hold(self, reason: str, hold: bool) -> None:
        before = bool(self._holds)
        self._holds = self._holds | {reason} if hold else self._holds - {reason}
        if self._transport is None or self._transport.is_closing() or bool(self._holds) == before:
            return
        if hold:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _arm(self, session: Session) -> None:
        """One timer, for the earliest of the session's deadlines; a later one is found when it rings."""
        deadline = session.deadline()
        if deadline is None or self.ended.done():
            return
        if self._timer is not None:
            if deadline >= self._timer_at:
                return
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = asyncio.get_running_loop().call_later(max(0.0, deadline - self._clock()), self._ring)

    def _ring(self) -> None:
        self._timer = None
        session = self._session
        if session is not None and not self.ended.done():
            now = self._clock()
            try:
                self._act(session.tick(now), now)
            except Exception as defect:
                self._failed(defect)

    def _failed(self, defect: Exception) -> None:
        """A defect of ours ends the link's task, and so the daemon, instead of vanishing in the event loop."""
        if self.ended.done():
            raise defect
        self.ended.set_exception(defect)
        if self._transport is not None:
            self._transport.abort()
