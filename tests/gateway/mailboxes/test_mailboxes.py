"""Mailboxes in the store: what can be added, how it is kept, how far folders were read, which daemon has which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import select, text, update

from gateway import accounts, folders, mailboxes, presence, watch_leases
from gateway.failure import RefusedError
from gateway.folders import Folder
from gateway.mailboxes import Login
from gateway.presence import Report
from gateway.store import schema
from gateway.store.store import Store
from gateway.vault import SealedError, Vault
from gateway.watch_leases import LostError, Refusals, Said, Shares

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
VAULT = Vault(["a line of thirty-two characters or so"])
LOGIN = Login("imap.example.org", 993, "implicit", "login", "jean", b"secret")
WATCHES = Report(watch_leases.KIND, watch_leases.NAME, "up", NOW)


@pytest.fixture(autouse=True)
def _jean(store: Store) -> None:
    store.run_now(lambda connection: accounts.add(connection, "jean", now=NOW))


def add(store: Store, login: Login = LOGIN, *, name: str | None = None, watched: Sequence[str] = ("INBOX",)) -> str:
    return store.run_now(
        lambda connection: mailboxes.add(connection, VAULT, "jean", login, name=name, watched=watched, now=NOW)
    )


def find(store: Store, name: str = "jean") -> mailboxes.Mailbox:
    return store.read_now(lambda connection: mailboxes.find(connection, "jean", name))


# What is kept


def test_a_mailbox_is_named_after_its_user_and_opens_with_its_secret(store: Store) -> None:
    assert add(store) == "jean"
    assert find(store).login(VAULT) == LOGIN


def test_no_secret_stands_in_the_database(store: Store) -> None:
    add(store)
    with store.engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM mailbox")).all()
    assert rows
    assert "secret" not in repr(rows)


@pytest.mark.parametrize("column", ["host", "port", "tls", "user"])
def test_where_a_row_was_changed_its_secret_is_gone(store: Store, column: str) -> None:
    add(store)
    values = {"host": "evil.example.org", "port": 1143, "tls": "none", "user": "other"}
    change = update(schema.mailbox).values({column: values[column]})
    store.run_now(lambda connection: connection.execute(change).close())
    with pytest.raises(SealedError):
        find(store, "jean").login(VAULT)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"host": "imaps://imap.example.org"}, "no mail server"),
        ({"host": "a b"}, "no mail server"),
        ({"host": ""}, "no mail server"),
        ({"port": 0}, "no port 0"),
        ({"port": 70000}, "no port 70000"),
        ({"user": ""}, "user is empty"),
        ({"user": "a\r\nb"}, "control character"),
        ({"secret": b""}, "password is empty"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(store: Store, change: dict[str, object], said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        add(store, replace(LOGIN, **change))  # type: ignore[arg-type]


def test_two_mailboxes_of_one_name_are_refused(store: Store) -> None:
    add(store)
    with pytest.raises(RefusedError, match="give this one another with --name"):
        add(store)
    assert add(store, name="work") == "work"


def test_hosts_are_kept_in_one_form(store: Store) -> None:
    add(store, replace(LOGIN, host=" IMAP.Bücher.example. "))
    assert find(store).host == "imap.xn--bcher-kva.example"


def test_folders_are_kept_in_their_order_and_inbox_has_one_name(store: Store) -> None:
    add(store, watched=("inbox", "Work", "INBOX", "Lists/Ops"))
    assert [folder.name for folder in find(store).folders] == ["INBOX", "Work", "Lists/Ops"]


def test_a_removed_account_takes_its_mailboxes_with_it(store: Store) -> None:
    add(store)
    store.run_now(lambda connection: accounts.remove(connection, "jean"))
    with store.engine.connect() as connection:
        assert connection.execute(select(schema.mailbox.c.id)).all() == []
        assert connection.execute(select(schema.folder.c.name)).all() == []


def test_a_secret_is_renewed_again_and_again_whoever_knows_it_from_before(store: Store) -> None:
    add(store)
    before = find(store)
    for secret in (b"second", b"third"):
        store.run_now(partial(mailboxes.replace_secret, vault=VAULT, mailbox=before, secret=secret))
        assert find(store).login(VAULT).secret == secret


def test_another_password_is_tried_at_once_and_what_was_read_stays_read(store: Store) -> None:
    add(store)
    first, read = node(store), Folder("INBOX", 17, 42, NOW)
    (mailbox,) = share(store, first).took
    store.run_now(lambda connection: folders.advance(connection, mailbox.id, read))
    store.run_now(lambda connection: watch_leases.refused(connection, mailbox.id, NOW + timedelta(hours=6), told=True))
    store.run_now(lambda connection: mailboxes.set_secret(connection, VAULT, "jean", "jean", b"mended"))
    assert not store.read_now(lambda connection: watch_leases.settled(connection, first, [mailbox.id]))
    shares = share(store, first, [mailbox.id])
    (again,) = shares.took
    assert again.login(VAULT).secret == b"mended"
    assert (again.refusals, again.again, again.told, again.folders) == (0, None, False, (read,))
    assert again.taken == mailbox.taken + 1


def test_a_password_with_a_line_break_is_refused(store: Store) -> None:
    add(store)
    with pytest.raises(RefusedError, match="control character"):
        store.run_now(lambda connection: mailboxes.set_secret(connection, VAULT, "jean", "jean", b"a\r\nb"))


# How far folders were read


def test_what_was_read_is_remembered(store: Store) -> None:
    add(store)
    number, read = find(store).id, Folder("INBOX", 17, 42, NOW)
    store.run_now(lambda connection: folders.advance(connection, number, read))
    assert find(store).folders == (read,)


def test_mails_that_were_met_are_known_until_they_are_forgotten(store: Store) -> None:
    add(store)
    number, identities = find(store).id, [bytes([n]) * 32 for n in range(3)]
    for _ in range(2):
        store.run_now(lambda connection: folders.meet(connection, number, identities[:2], NOW))
    assert store.read_now(lambda connection: folders.met(connection, number, identities)) == set(identities[:2])
    store.run_now(lambda connection: folders.forget(connection, NOW + timedelta(days=1)))
    assert store.read_now(lambda connection: folders.met(connection, number, identities)) == set()


# Which daemon has which


def node(store: Store) -> int:
    """A daemon that watches."""
    number = store.run_now(lambda connection: presence.arrive(connection, store.identifiers))
    store.run_now(lambda connection: presence.beat(connection, number, [WATCHES]))
    return number


def share(store: Store, number: int, held: Sequence[int] = (), most: int = 500) -> Shares:
    return store.run_now(lambda connection: watch_leases.share_out(connection, number, held, most=most))


def test_one_daemon_takes_them_all_at_most_so_many_at_once(store: Store) -> None:
    for n in range(5):
        add(store, name=f"m{n}")
    first = node(store)
    took = share(store, first, most=3).took
    assert len(took) == 3
    rest = share(store, first, [one.id for one in took]).took
    assert len(rest) == 2
    assert share(store, first, [one.id for one in (*took, *rest)]) == Shares([], frozenset())


def test_where_nothing_changes_a_look_is_enough(store: Store) -> None:
    add(store)
    first = node(store)
    assert not store.read_now(lambda connection: watch_leases.settled(connection, first, []))
    (mailbox,) = share(store, first).took
    assert store.read_now(lambda connection: watch_leases.settled(connection, first, [mailbox.id]))
    add(store, name="another")
    assert not store.read_now(lambda connection: watch_leases.settled(connection, first, [mailbox.id]))


def test_who_was_taken_for_dead_and_returns_takes_up_what_nobody_took_meanwhile(store: Store) -> None:
    add(store)
    first = node(store)
    (mailbox,) = share(store, first).took
    ago = update(schema.node).values(beat=datetime.now(UTC) - timedelta(minutes=1))
    store.run_now(lambda connection: connection.execute(ago).close())
    assert share(store, first, [mailbox.id]) == Shares((), frozenset({mailbox.id}))
    store.run_now(lambda connection: presence.return_as(connection, first))
    (again,) = share(store, first).took
    assert (again.id, again.taken) == (mailbox.id, mailbox.taken + 1)
    assert store.read_now(lambda connection: watch_leases.settled(connection, first, [mailbox.id]))


def test_a_removed_mailbox_is_to_be_left(store: Store) -> None:
    add(store)
    first = node(store)
    (mailbox,) = share(store, first).took
    store.run_now(lambda connection: mailboxes.remove(connection, "jean", "jean"))
    assert share(store, first, [mailbox.id]).left == {mailbox.id}


def test_whoever_lost_a_mailbox_writes_nothing_more(store: Store) -> None:
    add(store)
    first = node(store)
    (mailbox,) = share(store, first).took
    store.run_now(lambda connection: watch_leases.leave_all(connection, first))
    (again,) = share(store, first).took
    assert again.taken == mailbox.taken + 1
    with pytest.raises(LostError):
        store.run_now(lambda connection: watch_leases.require(connection, mailbox.id, first, mailbox.taken))
    store.run_now(lambda connection: watch_leases.require(connection, mailbox.id, first, again.taken))


def test_what_is_refused_counts_up_and_is_told_once(store: Store) -> None:
    add(store)
    number = find(store).id
    for n in (0, 1):
        found = store.run_now(lambda connection: watch_leases.refusals(connection, number))
        assert found == Refusals(n, NOW if n else None, bool(n))
        store.run_now(lambda connection: watch_leases.refused(connection, number, NOW, told=True))
    store.run_now(lambda connection: watch_leases.welcomed(connection, [number]))
    mailbox = find(store)
    assert (mailbox.refusals, mailbox.told, mailbox.again) == (0, False, None)


def test_status_says_how_each_is_and_who_watches_it(store: Store) -> None:
    add(store)
    first = node(store)
    (mailbox,) = share(store, first).took
    for minute, why in enumerate(("INBOX is watched", "INBOX is watched, and how")):
        said = Said(mailbox.id, mailbox.taken, mailboxes.UP, why, NOW + timedelta(minutes=minute))
        store.run_now(partial(watch_leases.say, node=first, said=[said]))
    old = Said(mailbox.id, mailbox.taken - 1, mailboxes.DOWN, "by whoever had it before", NOW)
    store.run_now(partial(watch_leases.say, node=first, said=[old]))
    line = next(
        line for line in store.read_now(lambda connection: presence.status(connection)) if line.name == "jean/jean"
    )
    assert (line.kind, line.state, line.why, line.since) == ("watcher", "up", "INBOX is watched, and how", NOW)
    assert line.node


def test_a_mailbox_nobody_watches_is_down_in_status(store: Store) -> None:
    add(store)
    (line,) = store.read_now(lambda connection: presence.status(connection))
    assert (line.name, line.state, line.why) == ("jean/jean", "down", "no tocsin serve watches it now")


@pytest.mark.parametrize("database", [pytest.param("postgresql", marks=pytest.mark.peer("postgresql"))], indirect=True)
def test_two_daemons_share_evenly_and_one_takes_over_from_the_dead(store: Store) -> None:
    for n in range(5):
        add(store, name=f"m{n}")
    first = node(store)
    has = [one.id for one in share(store, first).took]
    assert len(has) == 5
    second = node(store)
    assert share(store, second).took == []
    left = share(store, first, has).left
    assert len(left) == 2
    took = share(store, second).took
    assert {one.id for one in took} == left
    ago = datetime.now(UTC) - timedelta(minutes=1)
    dead = update(schema.node).where(schema.node.c.id == first).values(beat=ago)
    store.run_now(lambda connection: connection.execute(dead).close())
    taken_over = share(store, second, [one.id for one in took]).took
    assert {one.id for one in taken_over} == set(has) - left
    with pytest.raises(LostError):
        store.run_now(lambda connection: watch_leases.require(connection, has[0], first, 1))
