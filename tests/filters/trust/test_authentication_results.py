"""Authentication-Results as real servers write it, as forgers do, and as nobody should (RFC 8601)."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from filters import authentication_results
from filters.authentication_results import AuthenticationResults, read
from filters.guard import Field

OURS = "mx.example.org"


def told(value: str) -> list[tuple[str, str, dict[str, str]]]:
    return [(one.method, one.result, dict(one.properties)) for one in read(value).results]


# As servers write it -------------------------------------------------------------------------------------------------

REAL = {
    "opendkim": (
        "mx.example.org;\tdkim=pass (2048-bit key; unprotected) header.d=example.net header.i=@example.net "
        "header.a=rsa-sha256 header.s=sel header.b=AbCdEf/1;\tdkim-atps=neutral",
        ("", "pass", ""),
    ),
    "opendmarc": ("mx.example.org; dmarc=pass (p=none dis=none) header.from=example.net", ("pass", "", "")),
    "rspamd": (
        "mx.example.org; dkim=pass header.d=example.net header.s=s1 header.b=ab+cdEf=; spf=pass (mx.example.org: "
        "domain of jean@example.net designates 192.0.2.1 as permitted sender) smtp.mailfrom=jean@example.net; "
        "dmarc=pass (policy=none) header.from=example.net",
        ("pass", "pass", "pass"),
    ),
    "a large webmail": (
        "mx.example.org; dkim=pass header.i=@example.net header.s=20230601 header.b=Xy9/+a0Q; arc=pass (i=1 spf=pass "
        "spfdomain=example.net dkim=pass dkdomain=example.net); spf=softfail (mx: domain of transitioning a@b does not "
        "designate 2001:db8::1 as permitted sender) smtp.mailfrom=a@b.example; dmarc=pass (p=NONE sp=QUARANTINE "
        "dis=NONE) header.from=example.net; dara=neutral header.i=@example.org",
        ("pass", "pass", "softfail"),
    ),
    "a hosted service": (
        "mx.example.org; spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=example.net; dkim=pass (signature was "
        "verified) header.d=example.net;dmarc=pass action=none header.from=example.net;compauth=pass reason=100;",
        ("pass", "pass", "pass"),
    ),
    "exim": (
        "mx.example.org; iprev=pass (out.example.net) smtp.remote-ip=192.0.2.1; spf=none smtp.mailfrom=<>; "
        'dkim=fail reason="body hash did not verify" header.d=example.net; dmarc=fail header.from=example.net',
        ("fail", "fail", "none"),
    ),
    "folded and commented everywhere": (
        "(a) mx.example.org (b) 1 (c (d)) ; (e) dmarc (f) / (g) 1 (h) = (i) pass (j) header (k) . (l) from (m) = (n) "
        'example.net (o) ; spf = pass reason = "a \\" quoted; reason" smtp.mailfrom = "jean; x"@example.net',
        ("pass", "", "pass"),
    ),
}


@pytest.mark.parametrize("server", REAL)
def test_what_real_servers_write_is_read(server: str) -> None:
    value, (dmarc, dkim, spf) = REAL[server]
    found = read(value)
    assert (found.authserv_id, found.fault) == (OURS, "")
    assert (found.dmarc, found.dkim, found.spf) == (dmarc, dkim, spf)


def test_properties_and_their_domains_are_read() -> None:
    [dkim] = read(REAL["opendkim"][0]).of("dkim")
    assert dkim.domain("header.d") == dkim.domain("header.i") == "example.net"
    assert dkim.value("header.b") == "AbCdEf/1"
    assert told(REAL["folded and commented everywhere"][0]) == [
        ("dmarc", "pass", {"header.from": "example.net"}),
        ("spf", "pass", {"reason": 'a " quoted; reason', "smtp.mailfrom": "jean; x@example.net"}),
    ]


@pytest.mark.parametrize(
    "value", ["mx.example.org; none", "mx.example.org 1;none", "mx.example.org", "mx.example.org;"]
)
def test_nothing_found_is_no_result_and_no_fault(value: str) -> None:
    assert read(value) == AuthenticationResults(OURS)


# As nobody should ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("mx.example.org garbage; dmarc=pass header.from=a.example", "semicolon"),
        ("mx.example.org 2; dmarc=pass header.from=a.example", "version is 2"),
        ("mx.example.org; none; dmarc=pass", "none, and yet"),
        ("mx.example.org; dmarc", "method=result"),
        ("mx.example.org; dmarc=", "cannot be read"),
        ("mx.example.org; dmarc=pass header.from", "type.name=value"),
        ("mx.example.org; dmarc=pass header.=x", "type.name=value"),
        ("mx.example.org; dmarc=pass header.from=a.example(.evil.example", "comment touches header.from"),
        ("mx.example.org; dkim=pass header.d=a.example(.evil.example)", "comment touches header.d"),
        ('mx.example.org; dkim=pass header.d=a.example".evil.example', "type.name=value"),
        ('mx.example.org; dkim=pass header.d="a.example".evil.example', "type.name=value"),
        ("mx.example.org; dkim=pass header.d=a.example\\.evil.example", "type.name=value"),
        ("mx.example.org; dkim=pass header.d=a.example header.d=b.example", "said twice"),
        ("mx.example.org; spf=pass (domain of x(y designates) smtp.mailfrom=a; dmarc=pass", "comment does not end"),
        ('mx.example.org; dmarc=pass reason="x', "type.name=value"),
        ("mx.example.org; dmarc=pass header.from=a.example\x00", "type.name=value"),
        ("mx.example.org; dmarc=pass " + "header.x=y " * 2000, "too long"),
    ],
)
def test_what_breaks_the_grammar_says_nothing(value: str, fault: str) -> None:
    found = read(value)
    assert found.authserv_id == OURS
    assert fault in found.fault
    assert found.results == ()


@pytest.mark.parametrize(
    "value", ["", "   ", "(", "; dmarc=pass", "(x", '"mx.example.org', "spf=pass smtp.mailfrom=a; dkim=pass"]
)
def test_a_field_whose_author_cannot_be_read_is_nobodys(value: str) -> None:
    assert read(value).authserv_id != OURS
    assert authentication_results.topmost([Field("authentication-results", value)], OURS) is None


def test_a_method_of_another_version_is_left_out() -> None:
    assert told("mx.example.org; dmarc/2=pass header.from=a.example; spf/1=pass") == [("spf", "pass", {})]


# Whose it is ---------------------------------------------------------------------------------------------------------


def fields(*values: str) -> list[Field]:
    return [Field("authentication-results", value) for value in values]


def test_only_the_topmost_field_with_our_id_counts() -> None:
    found = authentication_results.topmost(
        fields("other.example; dmarc=pass", f"{OURS}; dmarc=fail", f"{OURS}; dmarc=pass"), OURS
    )
    assert found is not None
    assert found.dmarc == "fail"


def test_the_topmost_counts_even_where_it_is_broken() -> None:
    found = authentication_results.topmost(fields(f"{OURS} ?; dmarc=pass", f"{OURS}; dmarc=pass"), OURS)
    assert found is not None
    assert found.fault
    assert found.dmarc == ""


@pytest.mark.parametrize(
    ("written", "configured"),
    [
        ("MX.Example.ORG", OURS),
        (OURS, "MX.EXAMPLE.ORG"),
        ('"mx.example.org"', OURS),
        ("mx.xn--exmple-cua.org", "mx.exämple.org"),
        ("mx.ex\udcc3\udca4mple.org", "mx.xn--exmple-cua.org"),
        ("gateway", "Gateway"),
    ],
)
def test_an_id_is_ours_whatever_its_case_or_script(written: str, configured: str) -> None:
    assert authentication_results.topmost(fields(f"{written}; dmarc=pass"), configured) is not None


@pytest.mark.parametrize(
    "written",
    [
        "mx.example.org.",
        "mx.example.org.evil.example",
        "evil.mx.example.org",
        "xmx.example.org",
        "mx.example.org/1",
        "mx_example.org",
        "mx.еxample.org",  # a Cyrillic е
        "ｍｘ.example.org",
        "mx.exam\u00adple.org",
        "mx。example.org",
        "mx.example.org(.evil.example",
        "m\udcffx.example.org",
    ],
)
def test_an_id_that_looks_like_ours_is_not(written: str) -> None:
    assert authentication_results.topmost(fields(f"{written}; dmarc=pass"), OURS) is None


def test_results_of_other_fields_are_not_ours() -> None:
    named = [Field("arc-authentication-results", f"i=1; {OURS}; dmarc=pass"), Field("x-authentication-results", OURS)]
    assert authentication_results.topmost(named, OURS) is None


def test_who_wrote_the_fields_is_told() -> None:
    found = fields("a.example; none", "(", "b.example; spf=pass", "d.example")
    named = [Field("subject", "c.example; none"), *found]
    assert authentication_results.authserv_ids(named, 3) == ["a.example", "", "b.example"]


# For filters ---------------------------------------------------------------------------------------------------------


def test_of_several_results_the_telling_one_is_taken() -> None:
    found = read(
        "mx; dkim=fail header.d=a.example; dkim=pass header.d=b.example; spf=fail smtp.helo=x; spf=pass smtp.mailfrom=y"
        "; dmarc=pass header.from=a.example; dmarc=fail header.from=b.example"
    )
    assert (found.dkim, found.spf, found.dmarc) == ("pass", "pass", "")


@pytest.mark.parametrize(
    ("value", "score"),
    [
        ("mx; x-vs=clean score=-12.5 state=0", -12.5),
        ("mx; x-spam=yes policy.score=7", 7.0),
        ("mx; x-spam=3.1", 3.1),
        ("mx; spf=pass", None),
        ("mx; x-spam=yes policy.score=nan", None),
        ("mx; x-spam=yes policy.score=1e999", None),
    ],
)
def test_a_spam_score_is_a_number(value: str, score: float | None) -> None:
    assert read(value).spam_score == score


# Whatever comes ------------------------------------------------------------------------------------------------------

_PIECES = ["mx.example.org", "none", "dmarc", "pass", "header", "from", "example.net", "é", "\udce9", "\x00", "reason"]
_TEXTS = st.lists(st.sampled_from([*_PIECES, *';. \t()"\\=/1@,', "header.from=example.net"]), max_size=40).map("".join)


@given(st.one_of(st.text(max_size=300), _TEXTS))
@example("mx.example.org; dmarc=pass header.from=example.net")
def test_no_value_is_a_reason_to_raise(value: str) -> None:
    found = read(value)
    assert not (found.fault and found.results)
    assert isinstance(found.spam_score, float | None)
    assert isinstance(found.dmarc + found.dkim + found.spf, str)


def test_long_values_are_read_in_time() -> None:
    for value in (
        "(" * 60_000,
        "mx;" + ";" * 60_000,
        "mx" + " " * 60_000,
        "mx; a=b " + "c=d " * 15_000,
        '"' + "\\" * 60_000,
    ):
        began = time.perf_counter()
        read(value)
        assert time.perf_counter() - began < 1
