"""A server of other hands, Cyrus: what is true of Dovecot is true of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.watching.session import Settings, connect
from daemon.watching.watch import Watch
from filters.mail import Mail
from gateway.folders import Folder
from gateway.mailboxes import Login
from tests.daemon.watching.conftest import World, mailbox
from tests.daemon.watching.test_dovecot import is_up, mail
from tests.peers.cyrus_imap import CyrusImap
from tests.peers.dovecot_imap import PASSWORD

pytestmark = pytest.mark.peer("cyrus")

Make = Callable[..., Watch]
USERS = ("old", "again", "plain", "polled", "whole", "wrong", "work", "stream")


@pytest.fixture(scope="module")
def cyrus(certificate: tuple[Path, Path]) -> Iterator[CyrusImap]:
    one = CyrusImap(*certificate, users=USERS)
    try:
        one.start()
        yield one
    finally:
        one.remove()


def test_what_was_there_is_old_and_what_comes_is_told_of(cyrus: CyrusImap, world: World, watch: Make) -> None:
    cyrus.deliver("old", mail("old"))
    watch(mailbox(cyrus.imaps, "old"))
    world.wait(lambda: ("up", "INBOX is watched") in world.said)
    cyrus.deliver("old", mail("new"))
    world.wait(lambda: world.subjects() == ["new"])


def test_it_lets_in_by_starttls_and_plain(cyrus: CyrusImap, world: World, watch: Make) -> None:
    watch(mailbox(cyrus.imap, "plain", tls="starttls", auth="plain"))
    world.wait(lambda: is_up(world))
    cyrus.deliver("plain", mail("in"))
    world.wait(lambda: world.subjects() == ["in"])


def test_without_room_to_idle_it_is_polled(cyrus: CyrusImap, world: World, watch: Make) -> None:
    world.idle_allowed, world.poll_seconds = False, 0.5
    watch(mailbox(cyrus.imaps, "polled"))
    world.wait(lambda: is_up(world))
    cyrus.deliver("polled", mail("by the clock"))
    world.wait(lambda: world.subjects() == ["by the clock"])


def test_a_hundred_in_quick_succession_come_once_and_in_order(cyrus: CyrusImap, world: World, watch: Make) -> None:
    watch(mailbox(cyrus.imaps, "stream"))
    world.wait(lambda: is_up(world))
    for n in range(0, 100, 20):
        cyrus.deliver("stream", *(mail(f"mail {k}") for k in range(n, n + 20)))
    world.wait(lambda: len(world.reads) >= 100)
    assert world.subjects() == [f"mail {n}" for n in range(100)]


def test_a_mail_is_read_as_if_all_of_it_had_been_fetched(
    cyrus: CyrusImap, world: World, watch: Make, settings: Settings
) -> None:
    made = mail("Grüße aus Köln", "Erste Zeile\nzweite Zeile\n")
    made.add_alternative("<p>Erste Zeile<br>zweite Zeile</p>", subtype="html")
    made.add_attachment(b"x" * 300_000, maintype="application", subtype="pdf", filename="Bericht é.pdf")
    made.add_attachment(mail("inner subject", "inner words\n"))
    watch(mailbox(cyrus.imaps, "whole"))
    world.wait(lambda: is_up(world))
    cyrus.deliver("whole", made)
    world.wait(lambda: bool(world.reads))
    whole, read = Mail.read(made.as_bytes()), world.reads[0].mail
    for name in ("subject", "from_", "to", "message_id", "text", "written", "stand_in", "attachments", "is_list"):
        assert getattr(read, name) == getattr(whole, name), name
    assert len(world.reads[0].octets) < 20_000
    session = connect(Login("localhost", cyrus.imaps, "implicit", "login", "whole", PASSWORD.encode()), 1, settings)
    session.open_folder("INBOX")
    (told,) = session.client.fetch([1], ["FLAGS"]).values()
    session.close()
    assert b"\\Seen" not in told[b"FLAGS"]


def test_wrong_credentials_are_refused(cyrus: CyrusImap, world: World, watch: Make) -> None:
    world.password = "wrong"
    watch(mailbox(cyrus.imaps, "wrong"))
    world.wait(lambda: bool(world.refusals))
    assert world.refusals[0].startswith("the server refuses the login")


def test_other_folders_are_watched(cyrus: CyrusImap, world: World, watch: Make, settings: Settings) -> None:
    login = Login("localhost", cyrus.imaps, "implicit", "login", "work", PASSWORD.encode())
    session = connect(login, 1, settings)
    if not session.client.folder_exists("Work"):
        session.client.create_folder("Work")
    watch(mailbox(cyrus.imaps, "work"), Folder("Work"))
    world.wait(lambda: ("up", "Work is watched") in world.said)
    session.client.append("Work", mail("filed").as_bytes())
    world.wait(lambda: world.subjects() == ["filed"])
    session.close()


def test_it_may_be_restarted(cyrus: CyrusImap, world: World, watch: Make) -> None:
    watch(mailbox(cyrus.imaps, "again"))
    world.wait(lambda: is_up(world))
    cyrus.stop()
    world.wait(lambda: any(state == "down" for state, _ in world.said))
    cyrus.start()
    cyrus.deliver("again", mail("after"))
    world.wait(lambda: world.subjects() == ["after"])
