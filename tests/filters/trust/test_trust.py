"""A mail from a relay proves its author where his domain stands for it, for whom it names, for a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters import trust
from filters.address_list import Mailbox, mailbox
from filters.mail import Mail

RESULTS = "Authentication-Results: mx.example.org; "
DMARC = RESULTS + "dmarc=pass (p=reject dis=none) header.from=example.net"
SIGNED = "DKIM-Signature: v=1; a=rsa-sha256; d=example.net; s=k; h=from:to:subject:date:message-id; bh=eA==; b=aGVsbG8="
#: When the mail of these tests was written.
WRITTEN = datetime(2026, 3, 2, 11, 59, tzinfo=UTC)
NUMBER = Mailbox("32475123456", "sms.example.org")


def proven(verdict: trust.Verdict) -> str:
    return str(verdict.proven or "")


def test_an_aligned_dmarc_pass_proves_the_author(judge) -> None:
    verdict = judge(DMARC)
    assert proven(verdict) == "jean@example.net"
    assert verdict.method == "dmarc"
    assert verdict.why_not == ""
    assert "dmarc=pass, which speaks for example.net" in verdict.explanation


@pytest.mark.parametrize(
    "dkim",
    [
        "dkim=pass header.d=example.net",
        "dkim=pass header.i=@example.net",
        "dkim=pass header.i=jean@EXAMPLE.net header.s=k",
        "dkim=fail header.d=example.net; dkim=pass header.d=example.net",
        "dkim=pass header.d=mail.example.net",
        "dkim=pass header.d=example.net; dmarc=none header.from=example.net",
        "dkim=pass header.d=example.net; dmarc=permerror header.from=example.net",
    ],
)
def test_an_aligned_dkim_pass_proves_the_author(judge, dkim: str) -> None:
    verdict = judge(RESULTS + dkim)
    assert proven(verdict) == "jean@example.net"
    assert verdict.method == "dkim"


def test_alignment_is_of_organisations_either_way(judge) -> None:
    changes = {"From": "jean@sales.example.co.uk"}
    assert proven(judge(RESULTS + "dkim=pass header.d=example.co.uk", changes=changes))
    assert proven(judge(RESULTS + "dkim=pass header.d=post.example.co.uk", changes=changes))
    assert not proven(judge(RESULTS + "dkim=pass header.d=other.co.uk", changes=changes))
    assert not proven(judge(RESULTS + "dkim=pass header.d=co.uk", changes=changes))


@pytest.mark.parametrize(
    "results",
    [
        "none",
        "spf=pass smtp.mailfrom=jean@example.net",
        "dmarc=fail header.from=example.net",
        "dmarc=pass",
        "dmarc=pass header.from=example.com",
        "dmarc=pass header.from=mail.example.net",
        "dmarc=pass smtp.from=example.net",
        "dmarc=bestguesspass header.from=example.net",
        "dmarc=pass header.from=example.net; dmarc=fail header.from=example.net",
        "dmarc=fail header.from=example.net; dkim=pass header.d=example.net",
        "dmarc=temperror header.from=example.net; dkim=pass header.d=mail.example.net",
        "dkim=pass header.d=example.com",
        "dkim=pass header.s=example.net",
        "dkim=pass",
        "dkim=neutral header.d=example.net",
        "dkim=policy header.d=example.net",
        "dkim=pass header.d=notexample.net",
        "dkim=pass header.d=example.com header.i=@example.net",
        "x-dkim=pass header.d=example.net",
    ],
)
def test_nothing_else_proves_anybody(judge, results: str) -> None:
    verdict = judge(RESULTS + results)
    assert verdict.proven is None
    assert "does not speak for example.net" in verdict.why_not


def test_without_an_id_no_field_is_believed(judge) -> None:
    assert "No authserv_id is configured" in judge(DMARC, authserv_id=None).why_not
    assert judge(DMARC, authserv_id="").proven is None


def test_a_missing_or_strange_field_is_told_in_words_that_help(judge) -> None:
    assert "the mail server it came from must add it" in judge().why_not
    assert "only of mx.example.com" in judge("Authentication-Results: mx.example.com; dmarc=pass").why_not
    assert "cannot be relied on: its version is 7" in judge("Authentication-Results: mx.example.org 7; x=y").why_not


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("a@example.net, b@example.net", "must name one mailbox"),
        ("Friends: jean@example.net;", "must name one mailbox"),
        ("undisclosed:;", "must name one mailbox"),
        ("Jean Dupont", "must name one mailbox"),
        ("", "must name one mailbox"),
        (None, "no From fields"),
    ],
)
def test_who_wrote_a_mail_must_be_beyond_doubt(judge, written: str | None, why: str) -> None:
    verdict = judge(DMARC, changes={"From": written})
    assert verdict.author is None
    assert why in verdict.why_not


@pytest.mark.parametrize(
    ("hours", "good"), [(-24, True), (-25, False), (0, True), (23.9, True), (24.1, False), (24 * 365 * 900, False)]
)
def test_a_mail_is_good_for_a_day(judge, hours: float, good: bool) -> None:
    written = WRITTEN + timedelta(hours=hours)
    verdict = judge(DMARC, now=written)
    assert bool(verdict.proven) is good
    assert good or "more than 24 hours from now" in verdict.why_not


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Mar 2026 11:59:00 +0000", None])
def test_without_a_date_nothing_is_proven(judge, date: str | None) -> None:
    assert "no Date" in judge(DMARC, changes={"Date": date}).why_not


def test_a_date_of_another_zone_is_the_same_instant(judge) -> None:
    assert proven(judge(DMARC, changes={"Date": "Tue, 03 Mar 2026 00:59:00 +1300"}))


@pytest.mark.parametrize("written", [None, "", "nonsense"])
def test_without_a_message_id_nothing_is_proven(judge, written: str | None) -> None:
    assert "no Message-ID" in judge(DMARC, changes={"Message-ID": written}).why_not


@pytest.mark.parametrize(
    "to",
    [
        "32475123456@sms.example.org",
        "Marie <32475123456@SMS.example.org>",
        "x@example.net, 32475123456@sms.example.org",
        "Family: 32475123456@sms.example.org;",
        '"32475123456"@sms.example.org',
    ],
)
@pytest.mark.parametrize("name", ["To", "Cc"])
def test_a_recipient_whom_to_or_cc_names_is_meant(judge, name: str, to: str) -> None:
    assert judge(DMARC, changes={"To": None, name: to}).is_for(NUMBER)


@pytest.mark.parametrize(
    "to",
    [
        None,
        "",
        "+32475123456@sms.example.org",
        "32475999999@sms.example.org",
        "32475123456@sms.example.com",
        '"32475123456@sms.example.org" <x@example.net>',
        "(32475123456@sms.example.org) x@example.net",
        "x@example.net <32475123456@sms.example.org",
        "=?utf-8?Q?32475123456=40sms.example.org?= <x@example.net>",
    ],
)
def test_a_recipient_whom_they_do_not_name_is_not(judge, to: str | None) -> None:
    changes = {"To": to, "Bcc": "32475123456@sms.example.org", "Subject": "32475123456@sms.example.org"}
    assert not judge(DMARC, changes=changes).is_for(NUMBER)


def test_names_are_compared_without_case(judge) -> None:
    marie = mailbox("jean.dupont@sms.example.org")
    assert marie is not None
    assert judge(DMARC, changes={"To": "Jean.Dupont@SMS.Example.ORG"}).is_for(marie)


def test_a_mail_is_told_from_copies_by_its_id_and_its_signature(judge) -> None:
    once = judge(DMARC, SIGNED).replay_keys("+32475123456")
    assert len(once) == 2
    assert judge(DMARC, SIGNED, "X-Other: field").replay_keys("+32475123456") == once
    assert not set(judge(DMARC, SIGNED).replay_keys("+32475999999")) & set(once)
    renamed = judge(DMARC, SIGNED, changes={"Message-ID": "<2@example.net>"}).replay_keys("+32475123456")
    assert set(renamed) & set(once)
    another = SIGNED.replace("aGVsbG8=", "d29ybGQ=")
    assert not set(judge(DMARC, another, changes={"Message-ID": "<2@example.net>"}).replay_keys("+32475123456")) & set(
        once
    )


def test_the_signature_of_a_stranger_tells_nothing(judge) -> None:
    stranger = SIGNED.replace("example.net", "list.example").replace("to:", "")
    verdict = judge(DMARC, stranger)
    assert proven(verdict)
    assert verdict.is_for(NUMBER)
    assert verdict.replay_keys("+32475123456") == judge(DMARC).replay_keys("+32475123456")


# Whatever comes ------------------------------------------------------------------------------------------------------

_LINES = st.lists(
    st.one_of(
        st.builds(
            "{}: {}".format,
            st.sampled_from(
                ["Authentication-Results", "From", "To", "Date", "Message-ID", "DKIM-Signature", "Subject"]
            ),
            st.text(st.characters(codec="utf-8"), max_size=80),
        ),
        st.sampled_from([DMARC, SIGNED, "From: jean@example.net", "To: 32475123456@sms.example.org", "", "no field"]),
        st.sampled_from(
            [RESULTS + "dkim=pass header.d=example.net", "Message-ID: <1@x>", "Date: Mon, 02 Mar 2026 11:59"]
        ),
    ),
    max_size=12,
).map("\r\n".join)


@given(_LINES)
def test_no_mail_is_a_reason_to_raise(text: str) -> None:
    verdict = trust.judge(Mail.read(text.encode()), "mx.example.org", now=WRITTEN)
    assert bool(verdict.proven) is not bool(verdict.why_not)
    assert "\n" not in verdict.why_not
    verdict.replay_keys("x\udce9")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=200), st.booleans(), st.data())
def test_a_forged_field_never_turns_a_no_into_a_yes(text: str, named: bool, data: st.DataObject) -> None:
    """The relay found nothing good; whatever stands below its own field, nobody is proven."""
    ours = data.draw(st.sampled_from(["none", "dmarc=fail header.from=example.net", "spf=pass", "dkim=fail", "(", "x"]))
    forged = data.draw(st.sampled_from([text, DMARC.partition(": ")[2], f"mx.example.org; {text}"]))
    name = "Authentication-Results" if named else data.draw(st.sampled_from(["X-A", "ARC-Authentication-Results"]))
    octets = "\r\n".join(
        [
            RESULTS + ours,
            f"{name}: {forged}",
            "From: jean@example.net",
            "To: 32475123456@sms.example.org",
            "Date: Mon, 02 Mar 2026 11:59:00 +0000",
            "Message-ID: <1@example.net>",
            "",
            "text",
        ]
    ).encode()
    assert trust.judge(Mail.read(octets), "mx.example.org", now=WRITTEN).proven is None
