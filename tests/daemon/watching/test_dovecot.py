"""Folders of a real Dovecot: what is new is found once, as it is, and what breaks is mended."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest

from daemon.watching import looking
from daemon.watching.session import RefusedLoginError, Settings, UnwatchableError, connect
from daemon.watching.watch import Watch
from filters.mail import Mail
from gateway.folders import Folder
from gateway.mailboxes import Login
from tests.daemon.watching.conftest import World, mailbox
from tests.peers.dovecot_imap import PASSWORD, DovecotImap

pytestmark = pytest.mark.peer("dovecot-imap")

Make = Callable[..., Watch]


def mail(subject: str, text: str = "words\n") -> EmailMessage:
    made = EmailMessage()
    made["From"] = "Boss <boss@corp.example>"
    made["To"] = "jean@example.org"
    made["Subject"] = subject
    made["Message-ID"] = f"<{time.monotonic_ns()}@corp.example>"
    made.set_content(text)
    return made


def is_up(world: World) -> bool:
    return any(state == "up" for state, _ in world.said)


def test_what_was_there_before_the_first_look_texts_nobody(dovecot: DovecotImap, world: World, watch: Make) -> None:
    dovecot.deliver("old", mail("old"))
    watch(mailbox(dovecot.imaps, "old"))
    world.wait(lambda: is_up(world))
    dovecot.deliver("old", mail("new"))
    world.wait(lambda: bool(world.reads))
    assert world.subjects() == ["new"]


@pytest.mark.parametrize(("tls", "auth"), [("implicit", "login"), ("starttls", "plain"), ("starttls", "login")])
def test_every_way_in(dovecot: DovecotImap, world: World, watch: Make, tls: str, auth: str) -> None:
    port = dovecot.imaps if tls == "implicit" else dovecot.imap
    user = f"way-{tls}-{auth}"
    watch(mailbox(port, user, tls=tls, auth=auth))
    world.wait(lambda: is_up(world))
    dovecot.deliver(user, mail("in"))
    world.wait(lambda: world.subjects() == ["in"])


def test_mails_in_quick_succession_are_all_found_once_and_in_order(
    certificate: tuple[Path, Path], world: World, watch: Make
) -> None:
    one = DovecotImap(*certificate)
    # In a Maildir the session that looks may number mails before their delivery does, and in another order.
    one.more = f"mail_location = sdbox:{one.directory}/mail/%n"
    try:
        one.start()
        watch(mailbox(one.imaps, "stream"))
        world.wait(lambda: is_up(world))
        for n in range(0, 200, 20):
            one.deliver("stream", *(mail(f"mail {k}") for k in range(n, n + 20)))
        world.wait(lambda: len(world.reads) >= 200)
        assert world.subjects() == [f"mail {n}" for n in range(200)]
    finally:
        one.remove()


def test_no_flag_of_a_mail_is_touched(dovecot: DovecotImap, world: World, watch: Make, settings: Settings) -> None:
    watch(mailbox(dovecot.imaps, "flags"))
    world.wait(lambda: is_up(world))
    dovecot.deliver("flags", mail("one"))
    world.wait(lambda: bool(world.reads))
    login = Login("localhost", dovecot.imaps, "implicit", "login", "flags", PASSWORD.encode())
    session = connect(login, 1, settings)
    session.open_folder("INBOX")
    (told,) = session.client.fetch([1], ["FLAGS"]).values()
    session.close()
    assert b"\\Seen" not in told[b"FLAGS"]


def test_a_mail_is_read_as_if_all_of_it_had_been_fetched(dovecot: DovecotImap, world: World, watch: Make) -> None:
    made = mail("Grüße aus Köln", "Erste Zeile\nzweite Zeile\n")
    made.add_alternative("<p>Erste Zeile<br>zweite Zeile</p>", subtype="html")
    made.add_attachment(b"x" * 300_000, maintype="application", subtype="pdf", filename="Bericht é.pdf")
    forwarded = mail("inner subject", "inner words\n")
    made.add_attachment(forwarded)
    watch(mailbox(dovecot.imaps, "whole"))
    world.wait(lambda: is_up(world))
    dovecot.deliver("whole", made)
    world.wait(lambda: bool(world.reads))
    whole, read = Mail.read(made.as_bytes()), world.reads[0].mail
    for name in ("subject", "from_", "to", "message_id", "text", "written", "stand_in", "attachments", "is_list"):
        assert getattr(read, name) == getattr(whole, name), name
    assert read.size > 300_000
    assert len(world.reads[0].octets) < 20_000  # what the file contains was never fetched


def test_a_restart_of_the_server_is_survived(certificate: tuple, world: World, watch: Make) -> None:
    one = DovecotImap(*certificate)
    try:
        one.start()
        watch(mailbox(one.imaps, "again"))
        world.wait(lambda: is_up(world))
        one.stop()
        world.wait(lambda: any(state == "down" for state, _ in world.said))
        one.start()
        one.deliver("again", mail("after"))
        world.wait(lambda: world.subjects() == ["after"])
    finally:
        one.remove()


def test_a_server_without_idle_is_polled(certificate: tuple, world: World, watch: Make) -> None:
    one = DovecotImap(*certificate, more="protocol imap {\n  imap_capability = IMAP4rev1 SASL-IR LITERAL+\n}")
    world.poll_seconds = 0.5
    try:
        one.start()
        watch(mailbox(one.imaps, "poll"))
        world.wait(lambda: any("offers no IDLE" in why for _, why in world.said))
        one.deliver("poll", mail("polled"))
        world.wait(lambda: world.subjects() == ["polled"])
    finally:
        one.remove()


def test_where_no_connection_may_stay_it_is_polled_too(dovecot: DovecotImap, world: World, watch: Make) -> None:
    world.idle_allowed, world.poll_seconds = False, 0.5
    one = watch(mailbox(dovecot.imaps, "crowded"))
    world.wait(lambda: any("no connection is free" in why for _, why in world.said))
    assert one.wire is None
    dovecot.deliver("crowded", mail("polled"))
    world.wait(lambda: world.subjects() == ["polled"])


def test_after_uidvalidity_has_changed_only_what_is_new_counts(certificate: tuple, world: World, watch: Make) -> None:
    one = DovecotImap(*certificate)
    try:
        one.start()
        kept = mail("kept")
        first = watch(mailbox(one.imaps, "anew"))
        world.wait(lambda: is_up(world))
        one.deliver("anew", kept)
        world.wait(lambda: world.subjects() == ["kept"])
        before = world.folders["INBOX"]
        first.close()
        one.stop()
        one.recreate("anew")
        one.start()
        one.deliver("anew", kept, mail("while away"))
        watch(mailbox(one.imaps, "anew"), before)
        world.wait(lambda: len(world.reads) == 2)
        assert world.subjects() == ["kept", "while away"]
        world.wait(lambda: world.folders["INBOX"].uidvalidity != before.uidvalidity)
        one.deliver("anew", mail("later"))
        world.wait(lambda: world.subjects() == ["kept", "while away", "later"])
    finally:
        one.remove()


def test_what_was_not_committed_is_found_again(dovecot: DovecotImap, world: World, watch: Make) -> None:
    watch(mailbox(dovecot.imaps, "commit"))
    world.wait(lambda: is_up(world))
    world.fail = OSError("the commit was lost")
    dovecot.deliver("commit", mail("precious"))
    world.wait(lambda: world.subjects() == ["precious"])


def test_wrong_credentials_are_refused_once_and_said(dovecot: DovecotImap, world: World, watch: Make) -> None:
    world.password = "wrong"
    watch(mailbox(dovecot.imaps, "wrong"))
    world.wait(lambda: bool(world.refusals))
    assert world.refusals == [
        "the server refuses the login: login failed: [AUTHENTICATIONFAILED] Authentication failed."
    ]


def test_a_connection_limit_is_no_wrong_password(certificate: tuple, world: World, watch: Make) -> None:
    one = DovecotImap(*certificate, connections=1)
    try:
        one.start()
        watch(mailbox(one.imaps, "limit"))
        world.wait(lambda: is_up(world))
        watch(mailbox(one.imaps, "limit"))
        world.wait(lambda: any("Maximum number of connections" in why for _, why in world.said))
        assert world.refusals == []
    finally:
        one.remove()


def test_a_certificate_for_another_name_is_refused_and_said(dovecot: DovecotImap, world: World, watch: Make) -> None:
    watch(mailbox(dovecot.imaps, "name", host="127.0.0.1"))
    world.wait(lambda: any("its certificate is not good" in why for _, why in world.said))
    assert not is_up(world)


def test_a_folder_that_is_not_there_is_said(dovecot: DovecotImap, world: World, watch: Make) -> None:
    watch(mailbox(dovecot.imaps, "nowhere"), Folder("Nowhere"))
    world.wait(lambda: any("folder Nowhere cannot be opened" in why for _, why in world.said))


def test_where_nothing_comes_of_it_no_mail_is_fetched(dovecot: DovecotImap, world: World, watch: Make) -> None:
    world.wanted = frozenset()
    watch(mailbox(dovecot.imaps, "unasked"))
    world.wait(lambda: is_up(world))
    before = world.folders["INBOX"].uidnext
    dovecot.deliver("unasked", mail("nobody asks"))
    world.wait(lambda: world.folders["INBOX"].uidnext != before)
    assert world.reads == []


def test_sessions_say_what_is_wrong(dovecot: DovecotImap, settings: Settings) -> None:
    login = Login("localhost", dovecot.imaps, "implicit", "plain", "jean", "fälsch".encode())
    with pytest.raises(RefusedLoginError):
        connect(login, 1, settings)
    with pytest.raises(UnwatchableError, match="certificate"):
        connect(login, 1, Settings(allow_private=True, tokens=settings.tokens))
    with pytest.raises(UnwatchableError, match="an address inside"):
        connect(login, 1, Settings(allow_private=False, tokens=settings.tokens))


def test_the_last_mails_are_found_for_a_replay(dovecot: DovecotImap, settings: Settings) -> None:
    dovecot.deliver("replay", *(mail(f"mail {n}") for n in range(7)))
    login = Login("localhost", dovecot.imaps, "implicit", "login", "replay", PASSWORD.encode())
    session = connect(login, 1, settings)
    opened = session.open_folder("INBOX")
    uids = looking.last(session.client, 3, opened.exists)
    subjects = [read.mail.subject for read in looking.read(session.client, uids, {"headers"})]
    session.close()
    assert subjects == ["mail 4", "mail 5", "mail 6"]
