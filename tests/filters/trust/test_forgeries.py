"""What somebody does who wants his SMS paid by another: each is tried on a mail that a relay passed on."""

from __future__ import annotations

import pytest

from filters.address_list import Mailbox

RESULTS = "Authentication-Results: mx.example.org; "
PASS = RESULTS + "dmarc=pass (p=reject dis=none) header.from=example.net"
FAIL = RESULTS + "dmarc=fail (p=none dis=none) header.from=example.net"
SIGNED = "DKIM-Signature: v=1; a=rsa-sha256; d=example.net; s=k; h=from:to:subject:date; bh=eA==; b=aGVsbG8="
NUMBER = Mailbox("32475123456", "sms.example.org")
OTHER = Mailbox("32475999999", "sms.example.org")


def test_the_mail_they_begin_with_proves_its_author(judge) -> None:
    assert judge(PASS, SIGNED).proven == Mailbox("jean", "example.net")
    assert judge(PASS, SIGNED).is_for(NUMBER)


# Forged results ------------------------------------------------------------------------------------------------------


def test_a_forged_field_below_the_relays_own_is_not_read(judge) -> None:
    assert judge(FAIL, PASS).proven is None
    assert judge(FAIL, bottom=[PASS]).proven is None


@pytest.mark.parametrize(
    "forged",
    [
        "Authentication-Results: mx.example.com; dmarc=pass header.from=example.net",
        "Authentication-Results: mx.example.org.evil.example; dmarc=pass header.from=example.net",
        "Authentication-Results: mx.ex\u0430mple.org; dmarc=pass header.from=example.net",
        "Authentication-Results: ｍｘ.example.org; dmarc=pass header.from=example.net",
        "Authentication-Results: evil.example; none\r\n mx.example.org; dmarc=pass header.from=example.net",
        "ARC-Authentication-Results: i=1; mx.example.org; dmarc=pass header.from=example.net",
        "Authentication-Results-Original: mx.example.org; dmarc=pass header.from=example.net",
    ],
)
def test_a_forged_field_above_the_relays_own_is_another_servers_word(judge, forged: str) -> None:
    assert judge(forged, FAIL).proven is None
    assert judge(forged).proven is None


@pytest.mark.parametrize(
    "results",
    [
        # The reverse-path is `x;dmarc=pass header.from=example.net`@evil.example, and nobody quoted it.
        "spf=pass smtp.mailfrom=x; dmarc=pass header.from=example.net @evil.example; dmarc=fail",
        'spf=none (domain of "x) smtp.mailfrom=x; dmarc=pass header.from=example.net (y"@evil.example); dmarc=none',
        # d= of the signature is `example.net(.evil.example`, whose key is in evil.example.
        "dkim=pass header.d=example.net(.evil.example header.s=k",
        "dkim=pass header.d=example.net(.evil.example) header.s=k",
        'dkim=pass header.d=example.net".evil.example',
        "dkim=pass header.d=example.net\\.evil.example",
        "dkim=pass header.d=example.net,evil.example",
        "dkim=pass header.d=evil.example header.i=@example.net",
        "dkim=pass header.d=evil.example header.d=example.net",
    ],
)
def test_words_smuggled_into_the_relays_own_field_say_nothing(judge, results: str) -> None:
    assert judge(RESULTS + results).proven is None


# Whose name it bears -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        '"jean@example.net" <evil@evil.example>',
        "jean@example.net <evil@evil.example>",
        "<evil@evil.example> (jean@example.net)",
        "=?utf-8?Q?jean=40example=2Enet?= <evil@evil.example>",
        "=?utf-8?B?PGplYW5AZXhhbXBsZS5uZXQ+LA==?= <evil@evil.example>",
    ],
)
def test_a_display_name_pays_nothing(judge, written: str) -> None:
    evil = judge(RESULTS + "dmarc=pass header.from=evil.example", changes={"From": written})
    assert str(evil.proven or "") != "jean@example.net"
    assert judge(PASS, changes={"From": written}).proven is None


@pytest.mark.parametrize(
    "written",
    [
        "jean@example.net, evil@example.net",
        "<jean@example.net><evil@example.net>",
        "<@example.net,@x.example:jean@example.net>",
        "<jean@example.net>evil@example.net",
        "jean@example.net\x00evil@example.net",
        "jean@example.net\rFrom: evil@example.net",
        "Friends: jean@example.net;",
    ],
)
def test_a_from_that_can_be_read_as_another_is_nobodys(judge, written: str) -> None:
    assert judge(PASS, changes={"From": written}).proven is None


def test_two_from_fields_are_nobodys(judge) -> None:
    assert "2 From fields" in judge(PASS, "From: evil@example.net").why_not
    assert "2 From fields" in judge(PASS, bottom=["From: evil@example.net"]).why_not
    assert "2 From fields" in judge(PASS, bottom=["from : evil@example.net"]).why_not


@pytest.mark.parametrize(
    "line",
    [
        "This is no header field",
        "X" * 201 + ": a name that is too long to be read",
        ": no name",
        "Sn\u00f6w: not ASCII",
        "X-Long: " + "x" * 70_000,
        "\r\n".join(f"X-{n}: y" for n in range(1000)),
        "X: a\rb",
        "X: a\x00b",
    ],
)
def test_a_field_hidden_behind_rubbish_proves_nobody(judge, line: str) -> None:
    """Another reader goes on below the rubbish, where the fields stand that were signed."""
    verdict = judge(PASS, bottom=[line, "From: evil@example.net", "To: x@example.net", "Message-ID: <2@example.net>"])
    assert verdict.proven is None
    assert judge(PASS, bottom=[line]).proven is None


# Sent again ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "added",
    [
        "To: 32475999999@sms.example.org",
        "Date: Mon, 02 Mar 2026 11:59:00 +0000",
        "Message-ID: <2@example.net>",
        "Subject: Send money",
        "Content-Type: text/html",
    ],
)
def test_a_second_field_on_top_of_the_signed_one_proves_nobody(judge, added: str) -> None:
    changes = {"Content-Type": "text/plain"}
    assert judge(PASS, SIGNED, changes=changes).proven
    verdict = judge(PASS, added, SIGNED, changes=changes)
    assert "fields: one may be a stranger's" in verdict.why_not
    assert verdict.proven is None


def test_a_recipient_added_to_a_signed_mail_is_not_meant(judge) -> None:
    verdict = judge(PASS, "Cc: 32475999999@sms.example.org", SIGNED)
    assert verdict.is_for(NUMBER)
    assert not verdict.is_for(OTHER)
    assert judge(PASS, "Cc: 32475999999@sms.example.org", SIGNED.replace("to:", "to:cc:")).is_for(OTHER)


def test_a_signature_that_covers_no_recipient_names_none(judge) -> None:
    assert not judge(PASS, SIGNED.replace("to:", "")).is_for(NUMBER)


def test_a_subject_put_on_top_of_a_signed_mail_is_not_sent(judge) -> None:
    unsigned = SIGNED.replace("subject:", "")
    assert judge(PASS, unsigned, changes={"Subject": None}).proven
    assert "does not cover Subject" in judge(PASS, unsigned).why_not


def test_text_behind_a_signed_body_is_not_sent(judge) -> None:
    assert "only in part" in judge(PASS, SIGNED + "; l=5").why_not


def test_a_signature_in_other_clothes_does_not_make_another_mail(judge) -> None:
    once = set(judge(PASS, SIGNED).replay_keys("+32475123456"))
    dressed = SIGNED.replace("b=aGVsbG8=", "b=aGVs\r\n\t bG8=")
    assert set(judge(PASS, dressed, changes={"Message-ID": "<2@example.net>"}).replay_keys("+32475123456")) & once
    for forged in ("b=aGVsbG8", "b=aGVsbG8==", "b=aGVs!bG8=", "b=aGVsbG9="):
        assert "no mail server" in judge(PASS, SIGNED.replace("b=aGVsbG8=", forged)).why_not


def test_a_heap_of_signatures_proves_nobody(judge) -> None:
    heap = [SIGNED.replace("aGVsbG8=", f"{n:04d}") for n in range(6)]
    assert judge(PASS, *heap[:5]).proven
    assert "6 signatures" in judge(PASS, *heap).why_not
