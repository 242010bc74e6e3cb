"""The SMPP session, wire edge by wire edge: octets in, events out."""

from __future__ import annotations

import pytest

from gateway.transports.smpp import codec
from gateway.transports.smpp.events import (
    Answered,
    Arrived,
    BindRefused,
    BindRequested,
    Bound,
    Fault,
    Ignored,
    Mode,
    Role,
    TimedOut,
    Unbound,
)
from gateway.transports.smpp.pdu import (
    RESPONSE,
    Bind,
    BindAnswer,
    Body,
    Command,
    Deframer,
    EncodeError,
    MessageAnswer,
    Pdu,
    Query,
    ShortMessage,
    Tag,
)
from gateway.transports.smpp.session import LARGEST_SEQUENCE, LocalError, Phase, Session, Timers

HELLO = ShortMessage(destination="32475123456", short_message=b"hello")
TIMERS = Timers(bind=5.0, response=10.0, enquire_link=30.0)


def octets(command: int, sequence: int, status: int = 0, body: Body = None) -> bytes:
    return codec.encode(command, sequence, status, body)


def written(session: Session) -> list[Pdu]:
    complete, fault = Deframer().feed(session.data_to_send())
    assert fault is None
    return [codec.decode(one) for one in complete]


def esme(mode: Mode = Mode.TRANSCEIVER, *, window: int = 3, timers: Timers = TIMERS) -> Session:
    """A bound ESME at time 0, that has written nothing yet."""
    session = Session(Role.ESME, window=window, now=0.0, timers=timers)
    session.bind(mode, Bind("tocsin", "secret"), 0.0)
    (bind,) = written(session)
    (event,) = session.receive(octets(bind.command | RESPONSE, bind.sequence, 0, BindAnswer("smsc")), 0.0)
    assert isinstance(event, Bound)
    return session


def centre(mode: int = Command.BIND_TRANSCEIVER, *, window: int = 3, timers: Timers = TIMERS) -> Session:
    session = Session(Role.CENTRE, window=window, now=0.0, timers=timers)
    (event,) = session.receive(octets(mode, 1, 0, Bind("tocsin", "secret")), 0.0)
    assert isinstance(event, BindRequested)
    session.accept("smsc")
    session.data_to_send()
    return session


# Binding


@pytest.mark.parametrize(
    ("mode", "command"),
    [
        (Mode.TRANSMITTER, Command.BIND_TRANSMITTER),
        (Mode.RECEIVER, Command.BIND_RECEIVER),
        (Mode.TRANSCEIVER, Command.BIND_TRANSCEIVER),
    ],
)
def test_an_esme_binds_as_it_wishes(mode: Mode, command: Command) -> None:
    session = Session(Role.ESME, window=1, now=0.0)
    session.bind(mode, Bind("tocsin", "secret"), 0.0)
    assert written(session) == [Pdu(command, 0, 1, Bind("tocsin", "secret"))]
    answer = octets(command | RESPONSE, 1, 0, BindAnswer("smsc", ((Tag.SC_INTERFACE_VERSION, b"\x34"),)))
    assert session.receive(answer, 1.0) == [Bound(mode, "smsc", 0x34)]
    assert session.phase is Phase.BOUND


def test_a_centre_that_does_not_name_its_version_is_bound_all_the_same() -> None:
    session = Session(Role.ESME, window=1, now=0.0)
    session.bind(Mode.TRANSCEIVER, Bind("tocsin"), 0.0)
    assert session.receive(octets(Command.BIND_TRANSCEIVER_RESP, 1), 0.0) == [Bound(Mode.TRANSCEIVER, "", None)]


@pytest.mark.parametrize("command", [Command.BIND_TRANSCEIVER_RESP, Command.GENERIC_NACK])
def test_a_refused_bind_says_why(command: Command) -> None:
    session = Session(Role.ESME, window=1, now=0.0)
    session.bind(Mode.TRANSCEIVER, Bind("tocsin"), 0.0)
    assert session.receive(octets(command, 1, 0x0E), 0.0) == [BindRefused(0x0E)]
    assert session.phase is Phase.OPEN
    assert session.room == 0


def test_a_bind_that_is_not_answered_is_a_fault() -> None:
    session = Session(Role.ESME, window=1, now=0.0, timers=TIMERS)
    session.bind(Mode.TRANSCEIVER, Bind("tocsin"), 0.0)
    assert session.deadline() == 5.0
    assert session.tick(4.9) == []
    (fault,) = session.tick(5.0)
    assert isinstance(fault, Fault)
    assert session.phase is Phase.CLOSED


def test_a_centre_asks_its_owner_and_refuses_with_his_reason() -> None:
    session = Session(Role.CENTRE, window=1, now=0.0)
    bind = Bind("tocsin", "wrong")
    assert session.receive(octets(Command.BIND_RECEIVER, 9, 0, bind), 0.0) == [BindRequested(Mode.RECEIVER, bind)]
    session.refuse(0x0E)
    assert written(session) == [Pdu(Command.BIND_RECEIVER_RESP, 0x0E, 9, BindAnswer())]
    assert session.phase is Phase.OPEN


def test_a_bind_that_rubbish_follows_at_once_can_still_be_answered_to_nobody() -> None:
    session = Session(Role.CENTRE, window=1, now=0.0)
    asked, fault = session.receive(octets(Command.BIND_TRANSCEIVER, 1, 0, Bind("tocsin")) + b"\0\0\0\0", 0.0)
    assert isinstance(asked, BindRequested)
    assert isinstance(fault, Fault)
    session.accept("smsc")
    session.refuse(0x0E)
    assert session.phase is Phase.CLOSED
    assert [pdu.command for pdu in written(session)] == [Command.GENERIC_NACK]


def test_a_second_bind_is_refused_as_already_bound() -> None:
    session = centre()
    (event,) = session.receive(octets(Command.BIND_TRANSCEIVER, 2, 0, Bind("tocsin")), 0.0)
    assert isinstance(event, Ignored)
    assert [(pdu.command, pdu.status) for pdu in written(session)] == [(Command.BIND_TRANSCEIVER_RESP, 0x05)]


# Submitting


def test_submits_go_out_as_one_piece_and_their_answers_come_back_in_any_order() -> None:
    session = esme()
    numbers = [session.submit(HELLO, 1.0) for _ in range(3)]
    assert [pdu.sequence for pdu in written(session)] == numbers
    answers = b"".join(octets(Command.SUBMIT_SM_RESP, n, 0, MessageAnswer(f"id{n}")) for n in reversed(numbers))
    assert session.receive(answers, 2.0) == [Answered(n, 0, f"id{n}") for n in reversed(numbers)]
    assert session.outstanding == ()


def test_the_window_holds() -> None:
    session = esme(window=2)
    session.submit(HELLO, 1.0)
    assert session.room == 1
    second = session.submit(HELLO, 1.0)
    assert session.room == 0
    with pytest.raises(LocalError, match="the window of 2 is full"):
        session.submit(HELLO, 1.0)
    session.receive(octets(Command.SUBMIT_SM_RESP, second, 0x58), 1.0)
    assert session.room == 1


def test_a_message_that_cannot_be_written_takes_no_place() -> None:
    session = esme()
    with pytest.raises(EncodeError):
        session.submit(ShortMessage(destination="1" * 30), 1.0)
    assert session.room == 3
    assert session.data_to_send() == b""


def test_a_generic_nack_answers_the_request_it_names() -> None:
    session = esme()
    number = session.submit(HELLO, 1.0)
    assert session.receive(octets(Command.GENERIC_NACK, number, 0x03), 1.0) == [Answered(number, 0x03, "", nack=True)]


def test_a_generic_nack_that_names_nothing_ends_the_session() -> None:
    session = esme()
    session.submit(HELLO, 1.0)
    (fault,) = session.receive(octets(Command.GENERIC_NACK, 0, 0x02), 1.0)
    assert isinstance(fault, Fault)
    assert len(session.outstanding) == 1


def test_an_answer_that_nobody_waits_for_is_ignored() -> None:
    session = esme()
    number = session.submit(HELLO, 1.0)
    for command, sequence in [(Command.SUBMIT_SM_RESP, 99), (Command.DELIVER_SM_RESP, number)]:
        (event,) = session.receive(octets(command, sequence, 0, MessageAnswer("x")), 1.0)
        assert isinstance(event, Ignored)
    assert session.outstanding == (number,)


def test_an_answer_that_does_not_come_times_out_and_its_place_stays_taken() -> None:
    session = esme(window=2)
    number = session.submit(HELLO, 1.0)
    session.receive(octets(Command.ENQUIRE_LINK, 1), 10.0)
    assert session.deadline() == 11.0
    assert session.tick(10.9) == []
    assert session.tick(11.0) == [TimedOut(number)]
    assert session.room == 1
    (late,) = session.receive(octets(Command.SUBMIT_SM_RESP, number, 0, MessageAnswer("x")), 12.0)
    assert late == Answered(number, 0, "x", late=True)
    assert session.room == 2
    (again,) = session.receive(octets(Command.SUBMIT_SM_RESP, number, 0, MessageAnswer("x")), 13.0)
    assert isinstance(again, Ignored)


def test_a_question_without_an_answer_does_not_keep_its_place_in_the_window() -> None:
    session = esme(window=1)
    number = session.query(Query("7f"), 1.0)
    assert session.room == 0
    session.receive(octets(Command.ENQUIRE_LINK, 1), 10.0)
    assert session.tick(11.0) == [TimedOut(number)]
    assert session.room == 1


def test_sequence_numbers_start_again_and_leave_out_what_is_in_use() -> None:
    session = esme()
    first = session.submit(HELLO, 0.0)
    session._sequence = LARGEST_SEQUENCE - 1
    assert session.submit(HELLO, 0.0) == LARGEST_SEQUENCE
    session._sequence = first - 1
    assert session.submit(HELLO, 0.0) == first + 1


@pytest.mark.parametrize("mode", [Mode.RECEIVER])
def test_a_receiver_does_not_submit(mode: Mode) -> None:
    session = esme(mode)
    assert session.room == 0
    with pytest.raises(LocalError):
        session.submit(HELLO, 0.0)


# What the centre delivers


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("command", [Command.DELIVER_SM])
def test_what_a_centre_delivers_is_taken_in_any_mode_and_answered_by_its_owner(mode: Mode, command: Command) -> None:
    session = esme(mode)
    (event,) = session.receive(octets(command, 77, 0, HELLO), 1.0)
    assert event == Arrived(command, 77, HELLO)
    assert session.data_to_send() == b""
    assert isinstance(event, Arrived)
    session.answer(event, 0x64)
    assert [(p.command, p.sequence, p.status) for p in written(session)] == [(command | RESPONSE, 77, 0x64)]


def test_an_answer_after_the_end_goes_nowhere() -> None:
    session = esme()
    (event,) = session.receive(octets(Command.DELIVER_SM, 77, 0, HELLO), 1.0)
    session.close()
    assert isinstance(event, Arrived)
    session.answer(event)
    assert session.data_to_send() == b""


@pytest.mark.parametrize(
    ("request_octets", "answer"),
    [
        # out of order: the centre's side of table 2-1 seen by an ESME
        (octets(Command.SUBMIT_SM, 5, 0, HELLO), (Command.GENERIC_NACK, 0x03)),
        (octets(Command.BIND_RECEIVER, 5, 0, Bind("x")), (Command.GENERIC_NACK, 0x03)),
        (octets(Command.QUERY_SM, 5), (Command.GENERIC_NACK, 0x03)),
        # of no known kind, and unreadable
        (octets(0x00000999, 5), (Command.GENERIC_NACK, 0x03)),
        (octets(Command.DELIVER_SM, 5), (Command.DELIVER_SM_RESP, 0x02)),
        # what has no answer gets none
        (octets(Command.ALERT_NOTIFICATION, 5), None),
        (octets(Command.OUTBIND, 5), None),
    ],
)
def test_a_request_that_is_not_for_us_is_refused_and_ignored(
    request_octets: bytes, answer: tuple[int, int] | None
) -> None:
    session = esme()
    (event,) = session.receive(request_octets, 1.0)
    assert isinstance(event, Ignored)
    assert [(p.command, p.status) for p in written(session)] == ([answer] if answer else [])
    assert session.phase is Phase.BOUND


def test_a_centre_takes_no_submit_from_a_receiver() -> None:
    session = centre(Command.BIND_RECEIVER)
    (event,) = session.receive(octets(Command.SUBMIT_SM, 5, 0, HELLO), 1.0)
    assert isinstance(event, Ignored)
    assert [(p.command, p.status) for p in written(session)] == [(Command.SUBMIT_SM_RESP, 0x04)]


def test_a_centre_takes_no_submit_from_whoever_is_not_bound() -> None:
    session = Session(Role.CENTRE, window=1, now=0.0)
    (event,) = session.receive(octets(Command.SUBMIT_SM, 5, 0, HELLO), 1.0)
    assert isinstance(event, Ignored)
    assert [(p.command, p.status) for p in written(session)] == [(Command.SUBMIT_SM_RESP, 0x04)]


def test_a_centre_delivers_to_whoever_receives() -> None:
    session = centre(Command.BIND_RECEIVER, window=1)
    number = session.deliver(HELLO, 0.0)
    assert session.room == 0
    assert session.receive(octets(Command.DELIVER_SM_RESP, number, 0x64), 0.0) == [Answered(number, 0x64)]
    assert centre(Command.BIND_TRANSMITTER).room == 0


# Being alive


def test_a_question_whether_we_are_there_is_answered_in_every_phase() -> None:
    for session in (Session(Role.ESME, window=1, now=0.0), esme(), centre()):
        assert session.receive(octets(Command.ENQUIRE_LINK, 8), 1.0) == []
        assert written(session) == [Pdu(Command.ENQUIRE_LINK_RESP, 0, 8)]


def test_after_silence_we_ask_and_after_more_silence_the_peer_is_dead() -> None:
    session = esme()
    assert session.deadline() == 30.0
    assert session.tick(30.0) == []
    (probe,) = written(session)
    assert probe.command == Command.ENQUIRE_LINK
    assert session.tick(39.9) == []
    (fault,) = session.tick(40.0)
    assert isinstance(fault, Fault)
    assert "dead" in fault.why


@pytest.mark.parametrize("command", [Command.ENQUIRE_LINK_RESP, Command.GENERIC_NACK])
def test_an_answer_to_our_question_keeps_the_session(command: Command) -> None:
    session = esme()
    session.tick(30.0)
    (probe,) = written(session)
    assert session.receive(octets(command, probe.sequence), 35.0) == []
    assert session.phase is Phase.BOUND
    assert session.deadline() == 65.0


def test_a_peer_that_says_anything_is_alive() -> None:
    session = esme()
    session.tick(30.0)
    session.receive(octets(Command.DELIVER_SM, 1, 0, HELLO), 39.0)
    assert session.tick(40.0) == []
    assert session.phase is Phase.BOUND


def test_half_a_pdu_is_no_sign_of_life() -> None:
    session = esme()
    session.tick(30.0)
    session.receive(octets(Command.ENQUIRE_LINK, 1)[:7], 39.0)
    (fault,) = session.tick(40.0)
    assert isinstance(fault, Fault)


def test_a_session_without_messages_is_given_up_where_that_is_wished() -> None:
    session = esme(timers=Timers(enquire_link=None, inactivity=60.0))
    session.receive(octets(Command.ENQUIRE_LINK, 1), 59.0)
    session.data_to_send()
    assert session.tick(60.0) == []
    assert [pdu.command for pdu in written(session)] == [Command.UNBIND]


# Saying goodbye


def test_our_goodbye_is_answered_and_answers_before_it_count() -> None:
    session = esme()
    number = session.submit(HELLO, 1.0)
    session.unbind(1.0)
    assert session.room == 0
    unbind = written(session)[-1]
    heard = octets(Command.SUBMIT_SM_RESP, number, 0, MessageAnswer("a")) + octets(Command.UNBIND_RESP, unbind.sequence)
    assert session.receive(heard, 2.0) == [Answered(number, 0, "a"), Unbound(by_peer=False)]


def test_a_goodbye_that_is_not_answered_is_a_fault() -> None:
    session = esme()
    session.unbind(1.0)
    (fault,) = session.tick(11.0)
    assert isinstance(fault, Fault)


def test_the_centres_goodbye_is_answered_and_late_answers_still_count() -> None:
    session = esme()
    number = session.submit(HELLO, 1.0)
    session.data_to_send()
    assert session.receive(octets(Command.UNBIND, 3), 2.0) == [Unbound(by_peer=True)]
    assert written(session) == [Pdu(Command.UNBIND_RESP, 0, 3)]
    assert session.room == 0
    answer = octets(Command.SUBMIT_SM_RESP, number, 0, MessageAnswer("a"))
    assert session.receive(answer, 2.0) == [Answered(number, 0, "a")]
    (event,) = session.receive(octets(Command.DELIVER_SM, 4, 0, HELLO), 2.0)
    assert isinstance(event, Ignored)


def test_goodbyes_that_cross_end_the_session_once_on_both_sides() -> None:
    ends = esme(), centre()
    for end in ends:
        end.unbind(1.0)
    for _ in range(2):
        heard = [end.data_to_send() for end in ends]
        events = ends[0].receive(heard[1], 1.0) + ends[1].receive(heard[0], 1.0)
        assert events == ([Unbound(by_peer=True)] * 2 if _ == 0 else [])
    assert [end.phase for end in ends] == [Phase.UNBOUND] * 2


# Nonsense on the wire


@pytest.mark.parametrize("length", [b"\0\0\0\x0f", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"HTTP/1.1"])
def test_an_absurd_length_ends_the_session_with_a_word(length: bytes) -> None:
    session = esme()
    number = session.submit(HELLO, 0.0)
    session.data_to_send()
    good = octets(Command.SUBMIT_SM_RESP, number, 0, MessageAnswer("a"))
    answered, fault = session.receive(good + length, 1.0)
    assert answered == Answered(number, 0, "a")
    assert isinstance(fault, Fault)
    assert written(session) == [Pdu(Command.GENERIC_NACK, 0x02, 0)]
    assert session.receive(good, 1.0) == []
    assert session.tick(1000.0) == []
    assert session.deadline() is None


def test_commands_out_of_order_are_defects() -> None:
    fresh = Session(Role.ESME, window=1, now=0.0)
    for command in (
        lambda: fresh.submit(HELLO, 0.0),
        lambda: fresh.deliver(HELLO, 0.0),
        lambda: fresh.unbind(0.0),
        lambda: fresh.accept("x"),
        lambda: esme().bind(Mode.RECEIVER, Bind("x"), 0.0),
        lambda: esme().deliver(HELLO, 0.0),
        lambda: centre().submit(HELLO, 0.0),
        lambda: centre().accept("x"),
    ):
        with pytest.raises(LocalError):
            command()
