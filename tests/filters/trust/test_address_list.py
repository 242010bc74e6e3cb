"""Address fields to the letter: what could be read in two ways is not read."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters import address_list


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("jean@example.org", "jean@example.org"),
        ("  <jean@example.org> ", "jean@example.org"),
        ("Jean Dupont <jean@Example.ORG>", "jean@example.org"),
        ('"Dupont, Jean" <jean@example.org>', "jean@example.org"),
        ('"boss@corp.example" <evil@example.net>', "evil@example.net"),
        ("Jean Q. Public <jean@example.org>", "jean@example.org"),
        ("=?utf-8?Q?Jos=C3=A9?= <jose@example.org>", "jose@example.org"),
        ("Jos\udcc3\udca9 <jose@example.org>", "jose@example.org"),
        ("Jos\udce9 <jose@example.org>", "jose@example.org"),
        ("jean@example.org (Jean (from work) Dupont)", "jean@example.org"),
        ("(a \\) comment) Jean < jean@example.org >", "jean@example.org"),
        ('"jean dupont"@example.org', "jean dupont@example.org"),
        ('"a\\"b"@example.org', 'a"b@example.org'),
        ("jean@ex\udcc3\udca4mple.org", "jean@xn--exmple-cua.org"),
        ("=?x?q?y?=@example.org", "=?x?q?y?=@example.org"),
    ],
)
def test_a_mailbox_is_read(value: str, address: str) -> None:
    assert str(address_list.mailbox(value)) == address


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Jean",
        "<>",
        "a@example.org, b@example.org",
        "a@example.org,",
        "<a@example.org> <b@example.org>",
        "a@example.org <b@example.org>",
        "<a@example.org>b@example.org",
        "Friends: a@example.org;",
        "undisclosed-recipients:;",
        "<@relay.example:a@example.org>",
        "a@b@example.org",
        "a@example.org b@example.org",
        "a @example.org",
        "a@ example.org",
        "a(b)@example.org",
        ".a@example.org",
        "a..b@example.org",
        '"a".b@example.org',
        '""@example.org',
        '"a" b@example.org',
        "a@[192.0.2.1]",
        "a@example..org",
        "a@example.org.",
        "a@example.org(",
        '"a@example.org',
        "a@example.org>",
        "<a@example.org",
        "Jean [work] <a@example.org>",
        "Jean, Dupont <a@example.org>",
        "a\x00@example.org",
        "jos\udce9@example.org",
        "a@" + "(" * 30 + ")" * 30 + "example.org",
    ],
)
def test_what_names_nobody_or_two_or_cannot_be_told_is_nobody(value: str) -> None:
    assert address_list.mailbox(value) is None


@pytest.mark.parametrize(
    ("value", "addresses"),
    [
        ("a@example.org", ["a@example.org"]),
        (
            "A <a@example.org>, b@example.org (B),, <c@example.org>,",
            ["a@example.org", "b@example.org", "c@example.org"],
        ),
        ("Family: a@example.org, b@example.org; c@example.org", ["a@example.org", "b@example.org", "c@example.org"]),
        ("undisclosed-recipients:;", []),
        ('"32475123456@sms.example.org" <x@example.net>', ["x@example.net"]),
        ("(32475123456@sms.example.org) x@example.net", ["x@example.net"]),
        ("", []),
        ("a@example.org b@example.org", None),
        ("Family: a@example.org", None),
        ("A: B: a@example.org;;", None),
        ("a@example.org; b@example.org", None),
    ],
)
def test_a_list_is_read_whole_or_not_at_all(value: str, addresses: list[str] | None) -> None:
    found = address_list.mailboxes(value)
    assert addresses == (None if found is None else [str(mailbox) for mailbox in found])


_PIECES = ["jean", "example.org", "é", "\udce9", '"q"', "(c)"]
_TEXTS = st.lists(st.sampled_from([*_PIECES, *'()<>[]:;@\\,." \t']), max_size=30).map("".join)


@given(st.one_of(st.text(max_size=200), _TEXTS))
def test_no_value_is_a_reason_to_raise(value: str) -> None:
    found = address_list.mailbox(value)
    listed = address_list.mailboxes(value)
    if found is not None:
        assert listed == [found]


def test_long_values_are_read_in_time() -> None:
    for value in (
        "(" * 100_000,
        '"' * 100_000,
        "a@b.example," * 8_000,
        "((" + "\\" * 100_000,
        "<" * 100_000,
        "a " * 60_000,
    ):
        began = time.perf_counter()
        address_list.mailboxes(value)
        address_list.mailbox(value)
        assert time.perf_counter() - began < 2
