"""What each command_status means, row by row."""

from __future__ import annotations

import pytest

from gateway.transports.smpp.status import CREDENTIALS, Class, meaning

ROWS = [
    (Class.ACCEPTED, [0x00]),
    (Class.THROTTLE, [0x58]),
    (Class.QUEUE_FULL, [0x14]),
    (Class.TRANSIENT, [0x08, 0x64, 0x45, 0xFF, 0xFE, 0x102]),
    (Class.SESSION, [0x04, 0x05, 0x0D, 0x0E, 0x0F, 0x53]),
    (Class.PERMANENT, [0x0A, 0x48, 0x49]),
    (Class.PERMANENT, [0x0B, 0x50, 0x51, 0x33, 0x34, 0x40]),
    (Class.PERMANENT, [0x61, 0x62]),
    (Class.PERMANENT, [0x01, 0x06, 0x07, 0x43, 0x54, 0x55, 0x63, 0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0x104]),
    (Class.PERMANENT, [0x15, 0x100, 0x101, 0x103]),
    (Class.PERMANENT, [0x65, 0x66]),
]


@pytest.mark.parametrize(("what", "status"), [(what, status) for what, codes in ROWS for status in codes])
def test_a_known_code_means_what_the_table_says(what: Class, status: int) -> None:
    said = meaning(status)
    assert said.what is what
    assert said.name
    assert said.text.endswith(".")


@pytest.mark.parametrize("status", [0x400, 0x4FF, 0x111, 0x7777, 0xFFFFFFFF, 0x02, 0x03])
def test_a_code_of_doubt_is_transient_twice_and_then_permanent(status: int) -> None:
    said = meaning(status)
    assert (said.what, said.tries, said.elsewhere) == (Class.TRANSIENT, 3, False)


@pytest.mark.parametrize(("tries", "codes"), [(6, [0x08, 0x64, 0x102]), (3, [0x45]), (2, [0xFF, 0xFE]), (None, [0x14])])
def test_a_transient_code_is_worth_so_many_tries_before_another_route_is(tries: int | None, codes: list[int]) -> None:
    assert {(meaning(code).tries, meaning(code).elsewhere) for code in codes} == {(tries, True)}


def test_the_name_of_an_unknown_code_is_never_guessed() -> None:
    assert meaning(0x45D).name == ""
    assert meaning(0x45D).code == "0x0000045D"


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("accepted", Class.ACCEPTED),
        ("transient", Class.TRANSIENT),
        ("permanent", Class.PERMANENT),
        ("throttle", Class.THROTTLE),
    ],
)
def test_a_route_may_say_otherwise(word: str, what: Class) -> None:
    assert meaning(0x45, {0x45: word}).what is what
    assert meaning(0x4AA, {0x4AA: word}).what is what
    assert meaning(0x44, {0x45: word}).what is Class.PERMANENT


def test_refused_credentials_are_the_three_that_only_the_operator_can_mend() -> None:
    assert {meaning(status).name for status in CREDENTIALS} == {"RINVPASWD", "RINVSYSID", "RINVSYSTYP"}
