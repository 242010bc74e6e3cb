"""The SMPP session under everything: any split, two ends back to back, rubbish."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.transports.smpp import codec
from gateway.transports.smpp.events import (
    Answered,
    Arrived,
    BindRequested,
    Bound,
    Event,
    Fault,
    Ignored,
    Mode,
    Role,
    TimedOut,
    Unbound,
)
from gateway.transports.smpp.pdu import HEADER, Bind, BindAnswer, Command, MessageAnswer, ShortMessage
from gateway.transports.smpp.session import Phase, Session, Timers

WINDOW = 5
NEVER = Timers(bind=1e9, response=1e9, enquire_link=None)


def bound() -> Session:
    session = Session(Role.ESME, window=WINDOW, now=0.0, timers=NEVER)
    session.bind(Mode.TRANSCEIVER, Bind("tocsin"), 0.0)
    session.receive(codec.encode(Command.BIND_TRANSCEIVER_RESP, 1, 0, BindAnswer("smsc")), 0.0)
    for _ in range(3):
        session.submit(ShortMessage(short_message=b"hi"), 0.0)
    session.data_to_send()
    return session


pdus = st.one_of(
    st.builds(lambda n, s: codec.encode(Command.SUBMIT_SM_RESP, n, s, MessageAnswer("id")),
              st.integers(1, 6), st.sampled_from([0, 0x58])),
    st.builds(lambda n, t: codec.encode(Command.DELIVER_SM, n, 0, ShortMessage(short_message=t)),
              st.integers(1, 9), st.binary(max_size=100)),
    st.builds(lambda n: codec.encode(Command.ENQUIRE_LINK, n), st.integers(1, 9)),
    st.builds(lambda n: codec.encode(Command.GENERIC_NACK, n, 3), st.integers(0, 6)),
    st.builds(lambda n: codec.encode(Command.UNBIND, n), st.integers(1, 9)),
    st.builds(lambda c, n, b: HEADER.pack(16 + len(b), c, 0, n) + b,
              st.integers(0, 0xFFFFFFFF) | st.sampled_from(list(map(int, Command))), st.integers(0, 9),
              st.binary(max_size=30)),
    st.binary(min_size=4, max_size=20),
)  # fmt: skip


@given(st.lists(pdus, max_size=12), st.data())
@settings(max_examples=200)
def test_any_split_of_the_stream_gives_the_same_events_and_the_same_answers(
    sent: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(sent)
    whole = bound()
    expected = whole.receive(stream, 1.0)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=30)))
    split = bound()
    events: list[Event] = []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        events += split.receive(stream[begin:end], 1.0)
    assert events == expected
    assert split.data_to_send() == whole.data_to_send()
    assert split.phase == whole.phase


@given(st.lists(pdus | st.binary(max_size=200), max_size=10), st.sampled_from(Role), st.booleans())
@settings(max_examples=300)
def test_rubbish_neither_raises_nor_hangs(chunks: list[bytes], role: Role, leaving: bool) -> None:
    session = bound() if role is Role.ESME else Session(role, window=WINDOW, now=0.0)
    if leaving and role is Role.ESME:
        session.unbind(0.0)
    for now, chunk in enumerate(chunks):
        events = session.receive(chunk, float(now))
        assert len(events) <= 2 + (len(chunk) + 200) // 16
        session.tick(float(now))


class BackToBack(RuleBasedStateMachine):
    """An ESME and a centre, joined by two lines of octets that are split at random.

    They never disagree: no fault, nothing ignored; every request is answered once, with what the other end said; the
    window holds. Messages cross with goodbyes as they like.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.ends = {role: Session(role, window=WINDOW, now=0.0, timers=NEVER) for role in Role}
        self.line = dict.fromkeys(Role, b"")  # on the way to this end
        self.arrived: dict[Role, list[Arrived]] = {role: [] for role in Role}
        self.waiting: dict[Role, dict[int, bytes]] = {role: {} for role in Role}
        self.said: dict[Role, dict[int, tuple[int, str]]] = {role: {} for role in Role}
        self.count = 0

    @initialize(mode=st.sampled_from(Mode))
    def bind(self, mode: Mode) -> None:
        self.ends[Role.ESME].bind(mode, Bind("tocsin"), self.now)
        for role in (Role.CENTRE, Role.ESME):
            self.carry(role, 1.0)
        assert [end.phase for end in self.ends.values()] == [Phase.BOUND] * 2

    @rule(role=st.sampled_from(Role), share=st.sampled_from([1.0, 1.0, 0.7, 0.3, 0.01]))
    def carry(self, role: Role, share: float) -> None:
        self.line[role] += self.ends[other(role)].data_to_send()
        octets = self.line[role]
        part = octets[: max(1, int(len(octets) * share))]
        self.line[role] = octets[len(part) :]
        for event in self.ends[role].receive(part, self.now):
            self.happened(role, event)

    @precondition(lambda self: any(end.room for end in self.ends.values()))
    @rule(count=st.integers(1, WINDOW))
    def send(self, count: int) -> None:
        for role, end in self.ends.items():
            for _ in range(min(count, end.room)):
                self.count += 1
                text = f"message {self.count}".encode()
                send = end.submit if role is Role.ESME else end.deliver
                self.waiting[role][send(ShortMessage(short_message=text), self.now)] = text

    @rule(role=st.sampled_from(Role), status=st.sampled_from([0, 0x08, 0x58]), last=st.booleans())
    def answer(self, role: Role, status: int, last: bool) -> None:
        if self.arrived[role]:
            request = self.arrived[role].pop(-1 if last else 0)
            self.said[role][request.sequence] = (status, "" if status else f"id{request.sequence}")
            self.ends[role].answer(request, status, f"id{request.sequence}")

    @precondition(lambda self: self.count > 8)
    @rule(role=st.sampled_from(Role))
    def goodbye(self, role: Role) -> None:
        # An end says goodbye when nothing of its own is outstanding, as the owners here do.
        end = self.ends[role]
        if end.phase is Phase.BOUND and not self.waiting[role] and not self.arrived[role]:
            end.unbind(self.now)

    def happened(self, role: Role, event: Event) -> None:
        assert not isinstance(event, Fault | TimedOut), event
        if isinstance(event, BindRequested):
            self.ends[role].accept("smsc")
        elif isinstance(event, Arrived):
            assert event.message.short_message == self.waiting[other(role)][event.sequence]
            self.arrived[role].append(event)
        elif isinstance(event, Answered):
            self.waiting[role].pop(event.sequence)
            refused = (0x04, "")  # it crossed with a goodbye
            assert (event.status, event.message_id) == self.said[other(role)].pop(event.sequence, refused)
        elif isinstance(event, Ignored):
            # Only a message that crossed with a goodbye is not taken, and then both ends know.
            assert any(end.phase in (Phase.UNBINDING, Phase.UNBOUND) for end in self.ends.values()), event
        else:
            assert isinstance(event, Bound | Unbound)

    @invariant()
    def the_window_holds(self) -> None:
        for role, end in self.ends.items():
            assert len(end.outstanding) <= WINDOW
            assert set(end.outstanding) == set(self.waiting[role])


def other(role: Role) -> Role:
    return Role.CENTRE if role is Role.ESME else Role.ESME


TestBackToBack = BackToBack.TestCase
TestBackToBack.settings = settings(max_examples=60, stateful_step_count=60)
