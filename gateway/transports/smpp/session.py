"""An SMPP 3.4 session without I/O: octets in, events out; commands in, octets out. Both ends are made of it.

Theory
------
The owner of a session has a connection and a clock, the session has neither. The owner

- hands over what the connection read (`receive`) and acts on the events that come back, in order;
- calls `tick` when `deadline` has come, and acts on those events too;
- gives commands (`bind`, `submit`, `deliver`, `answer`, `unbind`); none of them waits for anything;
- after any of these writes what `data_to_send` returns. Nothing is in it twice, and many PDUs come as one piece.

`now` is always an argument: seconds of any steady clock.

Rule 1: **one table says when.** A session is in one `Phase`; `_CHANGES` has every way from one to another, `_ORDERLY`
says which requests of the peer are in order when, and what is not there is refused to the peer by its command_status.

    OPEN --bind--> BINDING --accepted--> BOUND --unbind, ours--> UNBINDING --answered--> UNBOUND
      ^                |                   |                                               ^
      +----refused-----+                   +--------------- unbind, the peer's ------------+
    any --protocol fault, dead peer, connection gone--> CLOSED

Rule 2: **a request of ours ends exactly once.** `submit` and `deliver` return a sequence number, and for it comes one
`Answered` (a response, or a generic_nack with that number) or one `TimedOut`; or nothing any more, once the session is
CLOSED: then `outstanding` still lists it. After a `TimedOut` the answer may come all the same: one more `Answered`,
marked late. An answer nobody waits for is an `Ignored`, for the log.

Rule 3: **the window holds.** `room` says how many more may go; never are more than `window` requests unanswered, those
that timed out among them.

Rule 4: **a request of the peer is answered once**: by the session itself where it needs no decision (enquire_link,
unbind, whatever is out of order), by `answer`, `accept` or `refuse` where an event asked for one.

Rule 5: **defects and peers differ.** A command that is not allowed now is a defect of the owner and raises
`LocalError`; whatever the peer does is an event.

Timers (section 7.2): `bind_timeout` from the connection to the bind and its answer; `response_timeout` for each
request; `enquire_link` is how long silence lasts before we ask whether anybody is there, and silence after the
question is a dead peer; `inactivity` is how long a session without messages is kept. A peer that says anything at all
is alive, whether or not it answers the question.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from gateway.transports.smpp import codec
from gateway.transports.smpp.events import (
    Answered,
    Arrived,
    BindRefused,
    BindRequested,
    Bound,
    Event,
    Fault,
    Ignored,
    Mode,
    Queried,
    Role,
    TimedOut,
    Unbound,
)
from gateway.transports.smpp.pdu import (
    HEADER,
    RESPONSE,
    Bind,
    BindAnswer,
    Command,
    Deframer,
    Malformed,
    MessageAnswer,
    Pdu,
    Query,
    QueryAnswer,
    ShortMessage,
    Tag,
    is_known,
    name_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_SEQUENCE = 0x7FFFFFFF  # section 5.1.4

# Numbers, for what every message costs: a member of an enumeration is slower to look up, and to compare.
_SUBMIT_SM, _SUBMIT_SM_RESP = int(Command.SUBMIT_SM), int(Command.SUBMIT_SM_RESP)
_GENERIC_NACK = int(Command.GENERIC_NACK)

_OK = 0x00
_INVALID_LENGTH = 0x02  # ESME_RINVCMDLEN
_INVALID_COMMAND = 0x03  # ESME_RINVCMDID
_INVALID_BIND_STATUS = 0x04  # ESME_RINVBNDSTS
_ALREADY_BOUND = 0x05  # ESME_RALYBND


class Phase(StrEnum):
    """Where a session is; the drawing above."""

    OPEN = "open"
    BINDING = "binding"
    BOUND = "bound"
    UNBINDING = "unbinding"
    UNBOUND = "unbound"
    CLOSED = "closed"


_BOUND, _CLOSED = Phase.BOUND, Phase.CLOSED

#: Every way from one phase to another.
_CHANGES: Mapping[Phase, frozenset[Phase]] = MappingProxyType(
    {
        Phase.OPEN: frozenset({Phase.BINDING, Phase.CLOSED}),
        Phase.BINDING: frozenset({Phase.BOUND, Phase.OPEN, Phase.CLOSED}),
        Phase.BOUND: frozenset({Phase.UNBINDING, Phase.UNBOUND, Phase.CLOSED}),
        Phase.UNBINDING: frozenset({Phase.UNBOUND, Phase.CLOSED}),
        Phase.UNBOUND: frozenset({Phase.CLOSED}),
        Phase.CLOSED: frozenset(),
    }
)

_BIND_OF = MappingProxyType(
    {
        Mode.TRANSMITTER: Command.BIND_TRANSMITTER,
        Mode.RECEIVER: Command.BIND_RECEIVER,
        Mode.TRANSCEIVER: Command.BIND_TRANSCEIVER,
    }
)
_MODE_OF: Mapping[int, Mode] = MappingProxyType({command: mode for mode, command in _BIND_OF.items()})
_TO_CENTRE = frozenset({Mode.TRANSMITTER, Mode.TRANSCEIVER})
_TO_ESME = frozenset({Mode.RECEIVER, Mode.TRANSCEIVER})
_ANY_MODE = frozenset(Mode)
_WHILE_BOUND = frozenset({Phase.BOUND, Phase.UNBINDING})
_NOT_BOUND_YET = frozenset({Phase.OPEN, Phase.BINDING})

#: When a request of the peer is in order: our role -> command -> (phases, modes); section 2.3, table 2-1. One leave is
#: taken: what a centre delivers on a transmitter's connection is against the table, but a receipt refused is lost.
_ORDERLY: Mapping[Role, Mapping[int, tuple[frozenset[Phase], frozenset[Mode]]]] = MappingProxyType(
    {
        Role.ESME: {
            Command.DELIVER_SM: (_WHILE_BOUND, _ANY_MODE),
            Command.DATA_SM: (_WHILE_BOUND, _ANY_MODE),
        },
        Role.CENTRE: {
            Command.BIND_TRANSMITTER: (frozenset({Phase.OPEN}), _ANY_MODE),
            Command.BIND_RECEIVER: (frozenset({Phase.OPEN}), _ANY_MODE),
            Command.BIND_TRANSCEIVER: (frozenset({Phase.OPEN}), _ANY_MODE),
            Command.SUBMIT_SM: (_WHILE_BOUND, _TO_CENTRE),
            Command.DATA_SM: (_WHILE_BOUND, _ANY_MODE),
            Command.QUERY_SM: (_WHILE_BOUND, _TO_CENTRE),
        },
    }
)
_NEVER: tuple[frozenset[Phase], frozenset[Mode]] = (frozenset(), frozenset())
#: The body of an answer without a message_id, in octets.
_NO_ID = codec.body_octets(Command.DELIVER_SM_RESP, MessageAnswer())
#: Commands that have no response (sections 4.1.7 and 4.12.1).
_UNANSWERED = frozenset({Command.OUTBIND, Command.ALERT_NOTIFICATION})


class LocalError(Exception):
    """A defect of the session's owner: a command that is not allowed now."""


@dataclass(frozen=True, slots=True)
class Timers:
    """Seconds, each; None is never."""

    bind: float = 30.0
    response: float = 30.0
    enquire_link: float | None = 30.0
    inactivity: float | None = None


class Session:
    """One end of one connection; see the theory above."""

    def __init__(self, role: Role, *, window: int, now: float, timers: Timers | None = None) -> None:
        self.role = role
        self.phase = Phase.OPEN
        self.mode: Mode | None = None
        self.window = window
        self._timers = timers or Timers()
        self._orderly = _ORDERLY[role]
        self._may_send = False  # bound for sending messages to the peer; `_go` keeps it
        self._deframer = Deframer()
        self._out: list[bytes] = []
        self._sequence = 0
        self._outstanding: dict[int, tuple[int, float]] = {}  # sequence -> (command, when); oldest first
        self._control: tuple[int, int, float] | None = None  # our bind or unbind: (command, sequence, when)
        self._overdue: set[int] = set()  # timed out; they keep their place in the window until an answer comes
        self._probe: float | None = None  # when we asked by enquire_link, and heard nothing since
        self._probe_sequence: int | None = None
        self._bind_sequence = 0  # the peer's bind that waits for accept or refuse
        self._opened = now
        self._heard = now
        self._busy = now

    # What the owner may ask

    @property
    def outstanding(self) -> tuple[int, ...]:
        """The sequence numbers of our submits and deliveries that have no answer yet, oldest first."""
        return tuple(self._outstanding)

    @property
    def room(self) -> int:
        """How many more messages may be sent this moment."""
        return self.window - len(self._outstanding) - len(self._overdue) if self._may_send else 0

    @property
    def unsent(self) -> int:
        """How many PDUs `data_to_send` would return."""
        return len(self._out)

    def deadline(self) -> float | None:
        """When `tick` has something to do, if nothing else happens before."""
        timers = self._timers
        due = math.inf
        if self._outstanding:
            due = next(iter(self._outstanding.values()))[1] + timers.response
        elif timers.inactivity is not None and self.phase is _BOUND:
            due = self._busy + timers.inactivity
        if self.phase is _BOUND:
            if self._probe is not None:
                due = min(due, self._probe + timers.response)
            elif timers.enquire_link is not None:
                due = min(due, self._heard + timers.enquire_link)
        elif self.phase in _NOT_BOUND_YET:
            due = min(due, self._opened + timers.bind)
        elif self.phase is Phase.UNBINDING and self._control is not None:
            due = min(due, self._control[2] + timers.response)
        elif self.phase is _CLOSED:
            return None
        return due if due < math.inf else None

    def data_to_send(self) -> bytes:
        """The octets to write now, once."""
        if not self._out:
            return b""
        octets = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        return octets

    # Commands

    def bind(self, mode: Mode, bind: Bind, now: float) -> None:
        """Ask to be bound; `Bound` or `BindRefused` follows."""
        if self.role is not Role.ESME or self.phase is not Phase.OPEN:
            raise LocalError(f"no bind by the {self.role} while {self.phase}")
        sequence = self._next_sequence()
        self._out.append(codec.encode(_BIND_OF[mode], sequence, body=bind))
        self._control = (_BIND_OF[mode], sequence, now)
        self.mode = mode
        self._go(Phase.BINDING)

    def accept(self, system_id: str) -> None:
        """Bind the ESME that asked. On a session that is over, nothing happens."""
        if self.phase is _CLOSED:
            return
        self._answer_bind(_OK, BindAnswer(system_id, ((Tag.SC_INTERFACE_VERSION, b"\x34"),)))
        self._go(Phase.BOUND)

    def refuse(self, status: int) -> None:
        """Do not bind the ESME that asked; `status` says why. On a session that is over, nothing happens."""
        if self.phase is _CLOSED:
            return
        self._answer_bind(status, None)
        self.mode = None
        self._go(Phase.OPEN)

    def submit(self, message: ShortMessage | bytes, now: float) -> int:
        """Send a submit_sm, whose body may be in octets already; returns its sequence number.

        Raises `EncodeError`, and then nothing was sent.
        """
        return self._request(Role.ESME, _SUBMIT_SM, message, now)

    def deliver(self, message: ShortMessage, now: float) -> int:
        """Send a deliver_sm; returns its sequence number. Raises `EncodeError`, and then nothing was sent."""
        return self._request(Role.CENTRE, Command.DELIVER_SM, message, now)

    def query(self, query: Query, now: float) -> int:
        """Send a query_sm; returns its sequence number. Raises `EncodeError`, and then nothing was sent."""
        return self._request(Role.ESME, Command.QUERY_SM, query, now)

    def report(self, request: Queried, status: int, answer: QueryAnswer) -> None:
        """Answer a query_sm of the peer's. On a session that is over, nothing happens."""
        if self.phase is not Phase.CLOSED:
            self._out.append(codec.encode(Command.QUERY_SM_RESP, request.sequence, status, answer))

    def answer(self, request: Arrived, status: int = _OK, message_id: str = "") -> None:
        """Answer a message of the peer's. On a session that is over, nothing happens: the peer will send it again."""
        if self.phase is not _CLOSED:
            body = MessageAnswer(message_id) if message_id else _NO_ID
            self._out.append(codec.encode(request.command | RESPONSE, request.sequence, status, body))

    def unbind(self, now: float) -> None:
        """Say goodbye; `Unbound` follows, and answers to what is outstanding may still come before it."""
        if self.phase is not Phase.BOUND:
            raise LocalError(f"no unbind while {self.phase}")
        sequence = self._next_sequence()
        self._out.append(codec.encode(Command.UNBIND, sequence))
        self._control = (Command.UNBIND, sequence, now)
        self._go(Phase.UNBINDING)

    def close(self) -> None:
        """The connection is gone. What is outstanding stays listed, and will never be answered."""
        if self.phase is not Phase.CLOSED:
            self._go(Phase.CLOSED)
            self._out.clear()

    # What happens

    def receive(self, octets: bytes, now: float) -> list[Event]:
        """What these octets of the peer mean, in order."""
        if self.phase is _CLOSED:
            return []
        complete, error = self._deframer.feed(octets)
        if complete:
            self._heard = now
            self._probe = None
        events: list[Event] = []
        for pdu_octets in complete:
            _, command, status, sequence = HEADER.unpack_from(pdu_octets)
            asked = self._outstanding.get(sequence) if command & RESPONSE else None
            if asked is not None and (command == asked[0] | RESPONSE or command == _GENERIC_NACK):
                del self._outstanding[sequence]
                self._busy = now
                if command == _SUBMIT_SM_RESP:  # nothing else of it matters
                    events.append(Answered(sequence, status, codec.message_id(pdu_octets)))
                else:
                    events.append(_answered(codec.decode(pdu_octets)))
            elif command & RESPONSE:
                self._response(codec.decode(pdu_octets), events)
            else:
                body = codec.body_of(command, status, pdu_octets)
                if isinstance(body, ShortMessage) and self._is_orderly(command):
                    self._busy = now
                    events.append(Arrived(command, sequence, body))
                else:
                    self._peer_asks(Pdu(command, status, sequence, body), now, events)
            if self.phase is _CLOSED:
                return events
        if error is not None:
            self._out.append(codec.encode(Command.GENERIC_NACK, 0, _INVALID_LENGTH))
            self._fault(f"the peer does not speak SMPP, or lost its place: {error}", events)
        return events

    def tick(self, now: float) -> list[Event]:
        """What the passing of time means."""
        events: list[Event] = []
        timers = self._timers
        while self._outstanding:
            sequence, (command, when) = next(iter(self._outstanding.items()))
            if now < when + timers.response:
                break
            del self._outstanding[sequence]
            if command != Command.QUERY_SM:  # many centres do not know it: it must not take the window away
                self._overdue.add(sequence)
            events.append(TimedOut(sequence))
        if self.phase in _NOT_BOUND_YET and now >= self._opened + timers.bind:
            self._fault(f"nothing was bound within {timers.bind:g} seconds", events)
        elif self.phase is Phase.UNBINDING and self._control and now >= self._control[2] + timers.response:
            self._fault(f"the unbind was not answered within {timers.response:g} seconds", events)
        elif self.phase is Phase.BOUND:
            self._tick_bound(now, events)
        return events

    def _tick_bound(self, now: float, events: list[Event]) -> None:
        timers = self._timers
        if self._probe is not None:
            if now >= self._probe + timers.response:
                self._fault(f"the peer is dead: enquire_link had no answer for {timers.response:g} seconds", events)
                return
        elif timers.enquire_link is not None and now >= self._heard + timers.enquire_link:
            self._probe, self._probe_sequence = now, self._next_sequence()
            self._out.append(codec.encode(Command.ENQUIRE_LINK, self._probe_sequence))
        if timers.inactivity is not None and not self._outstanding and now >= self._busy + timers.inactivity:
            self.unbind(now)

    # The peer's answers

    def _response(self, pdu: Pdu, events: list[Event]) -> None:
        """An answer to something else than a request that is outstanding."""
        if self._control is not None and pdu.sequence == self._control[1]:
            self._control_answered(pdu, events)
        elif pdu.sequence in self._overdue:
            self._overdue.discard(pdu.sequence)
            if pdu.command in (Command.SUBMIT_SM_RESP, Command.DELIVER_SM_RESP, Command.GENERIC_NACK):
                events.append(replace(_answered(pdu), late=True))
            else:
                self._ignored(pdu, "this answer comes too late, and is of another kind", events)
        elif pdu.sequence == self._probe_sequence and pdu.command in (Command.ENQUIRE_LINK_RESP, Command.GENERIC_NACK):
            pass  # it is alive, and `receive` has noted that
        elif pdu.command == Command.GENERIC_NACK:
            self._fault(f"the peer could not read a PDU of ours (0x{pdu.status:08X}), and does not say which", events)
        else:
            self._ignored(pdu, "nobody waits for this answer", events)

    def _control_answered(self, pdu: Pdu, events: list[Event]) -> None:
        assert self._control is not None
        command = self._control[0]
        if pdu.command not in (command | RESPONSE, Command.GENERIC_NACK):
            self._ignored(pdu, f"it answers something else than our {name_of(command)}", events)
            return
        self._control = None
        if command == Command.UNBIND:
            if self.phase is Phase.UNBINDING:
                self._go(Phase.UNBOUND)
                events.append(Unbound(by_peer=False))
        elif pdu.status != _OK or not isinstance(pdu.body, BindAnswer):
            self._go(Phase.OPEN)
            self.mode = None
            events.append(BindRefused(pdu.status))
        else:
            version = next((value for tag, value in pdu.body.tlvs if tag == Tag.SC_INTERFACE_VERSION), None)
            assert self.mode is not None
            self._go(Phase.BOUND)
            events.append(Bound(self.mode, pdu.body.system_id, version[0] if version else None))

    # The peer's requests

    def _peer_asks(self, pdu: Pdu, now: float, events: list[Event]) -> None:
        """A request that is no message, or is none in order."""
        command, body = pdu.command, pdu.body
        if command not in self._orderly:
            self._peer_asks_aside(pdu, events)
        elif isinstance(body, Malformed):
            self._refuse_request(pdu, body.status, body.why, events)
        elif not self._is_orderly(command):
            already = command in _MODE_OF and self.phase is not Phase.OPEN
            status = _ALREADY_BOUND if already else _INVALID_BIND_STATUS
            self._refuse_request(pdu, status, f"{name_of(command)} is out of order while {self.phase}", events)
        elif isinstance(body, Bind):
            self.mode = _MODE_OF[command]
            self._bind_sequence = pdu.sequence
            self._go(Phase.BINDING)
            events.append(BindRequested(self.mode, body))
        elif isinstance(body, Query):
            self._busy = now
            events.append(Queried(pdu.sequence, body))

    def _is_orderly(self, command: int) -> bool:
        phases, modes = self._orderly.get(command, _NEVER)
        return self.phase in phases and (self.mode is None or self.mode in modes)

    def _peer_asks_aside(self, pdu: Pdu, events: list[Event]) -> None:
        """What is asked of either end at any time, and what is served at neither."""
        if pdu.command == Command.ENQUIRE_LINK:
            self._out.append(codec.encode(Command.ENQUIRE_LINK_RESP, pdu.sequence))
        elif pdu.command == Command.UNBIND:
            self._peer_unbinds(pdu, events)
        else:
            self._refuse_request(pdu, _INVALID_COMMAND, f"{name_of(pdu.command)} is not served here", events)

    def _peer_unbinds(self, pdu: Pdu, events: list[Event]) -> None:
        self._out.append(codec.encode(Command.UNBIND_RESP, pdu.sequence))
        if self.phase in _WHILE_BOUND:
            self._go(Phase.UNBOUND)  # where both said goodbye at once, this is the answer to ours, too
            events.append(Unbound(by_peer=True))
        else:
            self._ignored(pdu, f"unbind while {self.phase}", events)

    def _refuse_request(self, pdu: Pdu, status: int, why: str, events: list[Event]) -> None:
        """Refuse by the request's own response where it has one; else by generic_nack (section 4.3)."""
        if pdu.command not in _UNANSWERED:
            own = is_known(pdu.command | RESPONSE) and status != _INVALID_COMMAND
            command = pdu.command | RESPONSE if own else Command.GENERIC_NACK
            self._out.append(codec.encode(command, pdu.sequence, status))
        self._ignored(pdu, why, events)

    # Small things

    def _request(self, role: Role, command: int, message: ShortMessage | Query | bytes, now: float) -> int:
        if self.role is not role or not self._may_send:
            raise LocalError(f"no {name_of(command)} by the {self.role} while {self.phase} as {self.mode}")
        if len(self._outstanding) + len(self._overdue) >= self.window:
            raise LocalError(f"the window of {self.window} is full")
        sequence = self._next_sequence()
        self._out.append(codec.encode(command, sequence, _OK, message))
        self._outstanding[sequence] = (command, now)
        self._busy = now
        return sequence

    def _answer_bind(self, status: int, body: BindAnswer | None) -> None:
        if self.role is not Role.CENTRE or self.phase is not Phase.BINDING or self.mode is None:
            raise LocalError(f"nothing to accept or refuse by the {self.role} while {self.phase}")
        self._out.append(codec.encode(_BIND_OF[self.mode] | RESPONSE, self._bind_sequence, status, body))

    def _next_sequence(self) -> int:
        """1 and up, round at 0x7FFFFFFF, never one that is still in use."""
        while True:
            self._sequence = self._sequence % LARGEST_SEQUENCE + 1
            if self._sequence not in self._outstanding and self._sequence not in self._overdue:
                return self._sequence

    def _go(self, phase: Phase) -> None:
        assert phase in _CHANGES[self.phase], f"a session cannot go from {self.phase} to {phase}"
        self.phase = phase
        self._may_send = phase is _BOUND and self.mode in (_TO_CENTRE if self.role is Role.ESME else _TO_ESME)

    def _fault(self, why: str, events: list[Event]) -> None:
        self._go(Phase.CLOSED)
        events.append(Fault(why))

    def _ignored(self, pdu: Pdu, why: str, events: list[Event]) -> None:
        events.append(Ignored(pdu.command, pdu.sequence, pdu.status, why))


def _answered(pdu: Pdu) -> Answered:
    body = pdu.body
    return Answered(
        pdu.sequence,
        pdu.status,
        body.message_id if isinstance(body, MessageAnswer) else "",
        nack=pdu.command == Command.GENERIC_NACK,
        report=body if isinstance(body, QueryAnswer) else None,
    )
