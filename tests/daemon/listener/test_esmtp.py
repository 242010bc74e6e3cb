"""The grammar of paths and parameters, and the shape of replies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon import esmtp


@pytest.mark.parametrize(
    ("argument", "local", "domain"),
    [
        ("FROM:<a@b.example>", "a", "b.example"),
        ("from: <a@B.Example.>", "a", "b.example"),
        ("FROM:a@b.example", "a", "b.example"),
        ('FROM:<"a b\\"c"@b.example>', 'a b"c', "b.example"),
        ("FROM:<@x.example,@y.example:a@b.example>", "a", "b.example"),
        ("FROM:<a@[192.0.2.1]>", "a", "[192.0.2.1]"),
        ("FROM:<é@bücher.example>", "é", "xn--bcher-kva.example"),
        ("FROM:<+32475123456@b.example>", "+32475123456", "b.example"),
        ("FROM:<a=b%c!d@b.example>", "a=b%c!d", "b.example"),
        ("FROM:<postmaster>", "postmaster", ""),
        ("FROM:<>", "", ""),
    ],
)
def test_paths_are_read(argument: str, local: str, domain: str) -> None:
    path, parameters = esmtp.split(argument, "FROM")
    assert (path.local, path.domain) == (local, domain)
    assert bool(path) is bool(local)
    assert parameters == {}


NO_PATHS = [
    None,
    "",
    "FROM",
    "FROM:",
    "FROM:<",
    "FROM:<a@b",
    "FROM:<a b@c.example>",
    "FROM:<a@b@c.example>",
    "TO:<a@b>",
]
NO_PATHS += ["FROM:<a@b>x", "FROM:<@b.example>", "FROM:<a@>", 'FROM:<"a@b.example>', "FROM:<\udcff@b.example>"]
NO_PATHS += [
    "FROM:<a\x00@b.example>",
    "FROM:<a@b.example> =x",
    "FROM:<a@b.example> SIZE=1 SIZE=2",
    "FROM:<a@b.example> A=B=C",
]


@pytest.mark.parametrize("argument", NO_PATHS)
def test_what_is_no_path_is_refused(argument: str | None) -> None:
    with pytest.raises(esmtp.ParameterError) as caught:
        esmtp.split(argument, "FROM")
    assert caught.value.reply[:1] == "5"


def test_parameters_keep_their_case() -> None:
    assert esmtp.split("TO:<a@b.example> orcpt=rfc822;A@B notify=NEVER x", "TO")[1] == {
        "ORCPT": "rfc822;A@B",
        "NOTIFY": "NEVER",
        "X": "",
    }


@pytest.mark.parametrize("written", ["", "x", "SUCCESS,", "NEVER,FAILURE", "ALWAYS"])
def test_conditions_that_are_none_are_refused(written: str) -> None:
    with pytest.raises(esmtp.ParameterError, match=r"^501 5\.5\.4"):
        esmtp.rcpt_parameters({"NOTIFY": written})


def test_a_line_break_in_an_envelope_id_is_taken_out() -> None:
    assert esmtp.mail_parameters({"ENVID": "a+0D+0Ab+2B"}, max_size=1).envid == "ab+"
    assert esmtp.rcpt_parameters({"ORCPT": "rfc822;x+0D+0Ay"}).orcpt == "rfc822;xy"


def test_a_long_reply_has_several_lines() -> None:
    lines = esmtp.reply("550 5.1.1", "word " * 400).split("\r\n")
    assert len(lines) > 1
    assert all(line.startswith("550-5.1.1 ") and len(line) <= 510 for line in lines[:-1])
    assert lines[-1].startswith("550 5.1.1 ")


@pytest.mark.parametrize(
    ("status", "text", "reply"),
    [
        ("550 5.1.1", "“Déjà” – ok…", '550 5.1.1 "Deja" - ok...'),
        ("550 5.1.1", "a\r\n250 b\x00\u2028c", "550 5.1.1 a 250 b ?c"),
        ("550", "x", "550 5.0.0 x"),
        ("", "x", "550 5.0.0 x"),
        ("451 4.3.0", "", "451 4.3.0"),
    ],
)
def test_a_reply_is_plain_ascii(status: str, text: str, reply: str) -> None:
    assert esmtp.reply(status, text) == reply


@given(st.text(max_size=3000))
def test_any_text_makes_a_lawful_reply(text: str) -> None:
    lines = esmtp.reply("550 5.1.1", text).split("\r\n")
    assert all(line.isascii() and line.isprintable() and len(line) <= 510 for line in lines)
    assert [line[3:4] for line in lines] == ["-"] * (len(lines) - 1) + [" "]


@given(st.text(st.characters(codec="utf-8") | st.sampled_from('<>@:;,"\\[] =FROM'), max_size=60))
def test_any_argument_is_read_or_refused(argument: str) -> None:
    reply = ""
    try:
        esmtp.split(f"FROM:{argument}", "FROM")
    except esmtp.ParameterError as error:
        reply = error.reply
    assert reply[:1] in ("", "5")
