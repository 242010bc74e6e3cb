"""How a mailbox is, said in one sentence; and that what an older lease says is not heard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daemon.board import Board
from daemon.measures import Measures
from daemon.watching.watcher import Terms, Watcher, _whole
from gateway.folders import Folder
from gateway.mailboxes import DOWN, NEW, REFUSED, UP, Mailbox
from gateway.vault import Vault
from gateway.watch_leases import LostError
from tests.daemon.watching.conftest import mailbox

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
INBOX, WORK = ("INBOX is watched", "Work is watched")


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ({"INBOX": (UP, INBOX)}, (UP, INBOX)),
        ({"Work": (UP, WORK), "INBOX": (UP, INBOX)}, (UP, "INBOX, Work are watched")),
        (
            {"INBOX": (UP, INBOX), "Work": (UP, "Work is looked into every 5 minutes: no connection is free to stay")},
            (UP, "INBOX is watched; Work is looked into every 5 minutes: no connection is free to stay"),
        ),
        ({"INBOX": (UP, INBOX), "Work": (DOWN, "Work: it is gone")}, (DOWN, "Work: it is gone")),
        ({"INBOX": (DOWN, "INBOX: away"), "": (REFUSED, "no")}, (REFUSED, "no")),
        ({"INBOX": (NEW, "not yet"), "Work": (UP, WORK)}, (NEW, "not yet")),
    ],
)
def test_the_worst_of_its_folders_is_said_in_one_sentence(
    states: dict[str, tuple[str, str]], said: tuple[str, str]
) -> None:
    assert _whole(states, ["INBOX", "Work"]) == said


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    def terms() -> Terms:
        return Terms(10, 300.0, True, Vault([]), lambda: None)  # type: ignore[arg-type, return-value]

    nothing: Any = None
    one = Watcher(nothing, nothing, Board(lambda: NOW), 1, terms, lambda _: None, now=lambda: NOW, measures=Measures())
    yield one
    for number in list(one._held):
        one._drop(number)
    one._idler.close()


@pytest.fixture
def held(watcher: Watcher) -> Mailbox:
    """A mailbox with two folders that was taken twice, and is not visited yet."""
    one = replace(mailbox(1, "jean"), folders=(Folder("INBOX"), Folder("Work")), taken=2)
    watcher._begin(one, 3600.0)
    return one


def test_what_an_older_lease_says_is_not_heard_and_takes_nothing_away(watcher: Watcher, held: Mailbox) -> None:
    old = replace(held, taken=1)
    watcher.say(old, "INBOX", DOWN, "INBOX: away")
    watcher.welcome(old)
    with pytest.raises(LostError):
        watcher.barred(old)
    watcher._drop(old.id, old.taken)
    assert watcher._unsaid == {}
    assert list(watcher._held) == [held.id]


def test_all_is_well_is_said_once_all_folders_are(watcher: Watcher, held: Mailbox) -> None:
    watcher.say(held, "Work", UP, WORK)
    assert watcher._unsaid == {}
    watcher.say(held, "INBOX", UP, INBOX)
    assert [(one.state, one.why) for one in watcher._unsaid.values()] == [(UP, "INBOX, Work are watched")]


def test_one_folder_alone_tries_credentials_that_are_not_known_to_be_good(watcher: Watcher, held: Mailbox) -> None:
    assert watcher.barred(held) == 0.0
    assert watcher.barred(held) == 1.0
    watcher.welcome(held)
    assert watcher.barred(held) == watcher.barred(held) == 0.0
    watcher._held[held.id].again = NOW + timedelta(minutes=15)
    assert watcher.barred(held) == 900.0
