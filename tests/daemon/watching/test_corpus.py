"""Every mail of the corpora, delivered to a real Dovecot and read in pieces, is the mail it is when read whole."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.watching import looking
from daemon.watching.session import Settings, connect
from filters.mail import Mail
from gateway.mailboxes import Login
from tests.filters.mail.test_mail_facts import ADDRESSES, CHARSETS, HEADERS, PARTS
from tests.peers.dovecot_imap import PASSWORD, DovecotImap

sys.path.append(str(Path(__file__).resolve().parents[2] / "filters" / "excerpt"))

from corpus_mails.cases import cases

pytestmark = pytest.mark.peer("dovecot-imap")

#: What filters and texts look at.
FACTS = (
    "subject",
    "from_",
    "sender",
    "reply_to",
    "to",
    "cc",
    "message_id",
    "date",
    "text",
    "written",
    "stand_in",
    "invitation",
    "note",
    "report",
    "type",
    "attachments",
    "is_list",
    "is_bounce",
    "is_automatic",
    "is_machine_output",
    "is_reply_by_machine",
    "our_mark",
)


def wholes(login: Login, settings: Settings) -> Iterator[tuple[looking.Read, bytes]]:
    """Each mail of the mailbox as it is read, and all of its octets."""
    session = connect(login, 1, settings)
    session.open_folder("INBOX")
    try:
        uids = looking.new_uids(session.client, 1)
        for start in range(0, len(uids), looking.STEP):
            for read in looking.read(session.client, uids[start : start + looking.STEP], {"headers", "body"}):
                (told,) = session.client.fetch([read.uid], ["BODY.PEEK[]"]).values()
                yield read, told[b"BODY[]"]
    finally:
        session.close()


def named() -> dict[str, bytes]:
    found = {case.name: case.octets for case in cases()}
    rows = [*ADDRESSES, *HEADERS, *CHARSETS, *PARTS]
    return found | {f"trap: {row}": row.octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for row in rows}


def _bare(mail: Mail, fact: str) -> Any:
    """A text without the line breaks at its end, of which a server has its own."""
    found = getattr(mail, fact)
    return found.rstrip("\n") if isinstance(found, str) else found


def test_each_mail_read_in_pieces_is_the_mail_read_whole(dovecot: DovecotImap, settings: Settings) -> None:
    mails = named()
    dovecot.deliver("corpus", *mails.values())
    login = Login("localhost", dovecot.imaps, "implicit", "login", "corpus", PASSWORD.encode())
    seen, wrong = 0, []
    for (name, octets), (read, all_of_it) in zip(mails.items(), wholes(login, settings), strict=True):
        seen += 1
        whole, sent = Mail.read(all_of_it), Mail.read(octets)
        assert read.mail.size == len(all_of_it)
        for fact in FACTS:
            pair = _bare(read.mail, fact), _bare(whole, fact)
            wrong += [(name, fact, *pair)] if pair[0] != pair[1] else []
        if not name.startswith("trap"):  # of those, a mail server mends some
            wrong += [(name, fact) for fact in ("subject", "text") if _bare(read.mail, fact) != _bare(sent, fact)]
    assert not wrong, (len(wrong), wrong[:20])
    assert seen > 500
