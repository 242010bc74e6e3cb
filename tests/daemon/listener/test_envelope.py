"""Who sends and what becomes of a mail, as plain decisions."""

from __future__ import annotations

import ipaddress

import pytest

from daemon.addresses import Named, Number, Postmaster, destination
from daemon.door import Sender
from daemon.envelope import Carried, Ignored, Proofs, judge, paying_address
from daemon.esmtp import Path
from daemon.letter import read, text_to_send
from daemon.peers import Networks, Peer
from filters.excerpt import Excerpt
from filters.mail import Mail
from gateway.failure import RefusedError

TRUSTED, STRANGER = Proofs(trusted=True), Proofs()


def peer(address: str) -> Peer:
    return Peer(ipaddress.ip_address(address))


def test_networks_hold_what_they_say() -> None:
    networks = Networks.of(["192.0.2.1", "10.0.0.0/8", "2001:db8::/32"])
    assert all(peer(one) in networks for one in ("192.0.2.1", "10.1.2.3", "2001:db8::1"))
    assert not any(peer(one) in networks for one in ("192.0.2.2", "11.0.0.1", "2001:db9::1", "::1"))
    assert Peer(unix=True) not in networks
    assert Peer(unix=True) in Networks.of(["unix"])
    assert Peer() not in Networks.of(["unix", "0.0.0.0/0", "::/0"])


@pytest.mark.parametrize("written", ["localhost", "10.0.0.1/8", "1.2.3", "", "Unix"])
def test_a_network_that_is_none_is_named(written: str) -> None:
    with pytest.raises(ValueError, match="write"):
        Networks.of([written])


def test_only_a_trusted_peer_proves_its_reverse_path() -> None:
    assert paying_address("a@b.example", TRUSTED) == "a@b.example"
    assert paying_address("a@b.example", STRANGER) is None
    assert paying_address("", TRUSTED) is None


@pytest.mark.parametrize(
    ("path", "proofs", "header", "becomes"),
    [
        ("a@b.example", TRUSTED, "", Carried("a@b.example")),
        ("a@b.example", STRANGER, "", Carried(None)),
        ("a@b.example", TRUSTED, "Auto-Submitted: auto-generated", Carried("a@b.example")),
        ("a@b.example", TRUSTED, "Precedence: bulk", Carried("a@b.example")),
        ("a@b.example", TRUSTED, "Auto-Submitted: auto-notified", Carried("a@b.example")),
        ("a@b.example", TRUSTED, "Auto-Submitted: auto-notified; owner-email=c@d.example", Carried("c@d.example")),
        ("", TRUSTED, "Auto-Submitted: auto-notified; owner-email=c@d.example", Carried("c@d.example")),
        ("", TRUSTED, "Auto-Submitted: auto-notified", Ignored),
        ("a@b.example", STRANGER, "Auto-Submitted: auto-notified; owner-email=a@b.example", Ignored),
        ("a@b.example", TRUSTED, "Auto-Submitted: auto-replied", Ignored),
        ("a@b.example", TRUSTED, "Tocsin-Origin: report", Ignored),
        ("a@b.example", TRUSTED, "Tocsin-Origin: report\nAuto-Submitted: auto-notified", Ignored),
        ("", TRUSTED, "", Ignored),
        ("", STRANGER, "", Ignored),
    ],
)
def test_a_mail_is_judged(path: str, proofs: Proofs, header: str, becomes: Carried | type[Ignored]) -> None:
    decided = judge(path, proofs, Mail.read(f"{header}\n\nwords".lstrip("\n").encode()))
    assert isinstance(decided, becomes) if isinstance(becomes, type) else decided == becomes


def path(written: str) -> Path:
    local, _, domain = written.rpartition("@")
    return Path(local or written, domain if local else "", written)


@pytest.mark.parametrize(
    ("written", "stands_for"),
    [
        ("+32475123456@s.example", Number("+32475123456")),
        ("32475123456+note@s.example", Number("32475123456")),
        ("+32475123456+note@s.example", Number("+32475123456")),
        ("0475-12.34/56@s.example", Number("0475-12.34/56")),
        ("32475+123456@s.example", Named("32475+123456")),
        ("family@s.example", Named("family")),
        ("3M@s.example", Named("3M")),
        ("Postmaster@s.example", Postmaster()),
        ("postmaster", Postmaster()),
    ],
)
def test_an_address_stands_for_something(written: str, stands_for: object) -> None:
    assert destination(path(written), "s.example") == stands_for


@pytest.mark.parametrize("written", ["+32475123456@other.example", "postmaster@other.example", "jean"])
def test_other_domains_are_not_served(written: str) -> None:
    with pytest.raises(RefusedError, match=r"number@s\.example") as caught:
        destination(path(written), "s.example")
    assert caught.value.smtp == "550 5.7.1"


@pytest.mark.parametrize(
    ("source", "subject", "body", "text"),
    [
        ("body", "S", "B", "B"),
        ("body", "S", "", "S"),
        ("subject", "S", "B", "S"),
        ("subject", "", "B", "B"),
        ("both", "S", "B", "S\nB"),
        ("both", "S", "", "S"),
        ("both", "", "B", "B"),
        ("both", "Disk full", "Disk full on web1", "Disk full on web1"),
    ],
)
def test_the_text_is_chosen_as_the_account_wants(source: str, subject: str, body: str, text: str) -> None:
    words = Excerpt("", subject, body, "", automatic=False, bounce=False)
    assert text_to_send(Sender(1, "jean", text=source), words) == text
    assert text_to_send(Sender(1, "jean", text=source, signature="Jean"), words) == f"{text}\nJean"


def test_a_signature_alone_is_no_text() -> None:
    with pytest.raises(RefusedError) as caught:
        text_to_send(Sender(1, "jean", signature="Jean"), read(b"Content-Type: image/png\n\nAAAA").excerpt)
    assert caught.value.smtp == "550 5.6.0"
