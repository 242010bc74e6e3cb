"""What a mail's filters know beside the mail: whose it is, whom the account knows, how its credit stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, select

from filters.folding import fold
from gateway import accounts, contacts, credit, lists
from gateway.accounts import Account
from gateway.pacing import ACCOUNT
from gateway.rulebook import Book
from gateway.store import schema

_spoken = schema.spoken


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What holds for all mails of an account at a moment; what no filter asks for is not found out."""

    account: Account
    books: Mapping[str, frozenset[str]] = field(default_factory=dict)
    people: Mapping[str, frozenset[str]] = field(default_factory=dict)
    credit_left: int | None = None
    sent_today: int | None = None


def find(connection: Connection, book: Book, now: datetime) -> Circumstances | None:
    """What this book's filters ask for; None where the account is gone."""
    account = accounts.by_id(connection, book.account)
    if account is None:
        return None
    return Circumstances(
        account=account,
        books=known(connection, account.id, book.books),
        people=_people(connection, account.id) if "name_spoof" in book.asks else {},
        credit_left=_credit(connection, account.id, now) if "credit_left" in book.asks else None,
        sent_today=sent_today(connection, account.id, account.zone, now) if "sent_today" in book.asks else None,
    )


def known(connection: Connection, account: int, words: frozenset[str]) -> dict[str, frozenset[str]]:
    """The addresses behind `book:NAME`, `group:NAME`, `list:NAME` and `any`, by these words as they are written."""
    of_lists = {word for word in words if word.partition(":")[0].lower() == "list"}
    found = contacts.books(connection, account, words - of_lists)
    for word in of_lists:
        found[word] = lists.addresses(connection, account, word.partition(":")[2].strip())
    return found


def _people(connection: Connection, account: int) -> dict[str, frozenset[str]]:
    """The addresses of everybody the account knows, by name."""
    found: dict[str, set[str]] = {}
    for contact in contacts.everyone(connection, account):
        addresses = found.setdefault(fold(contact.name), set())
        addresses.update(one.address.lower() for one in contact.addresses)
    return {name: frozenset(addresses) for name, addresses in found.items()}


def _credit(connection: Connection, account: int, now: datetime) -> int | None:
    purse = credit.load(connection, [account], now, lock=False).get(account)
    return purse.left(now) if purse is not None else None


def sent_today(connection: Connection, account: int, zone: ZoneInfo, now: datetime) -> int:
    """How often the account was told something since midnight in its zone, summaries included."""
    midnight = datetime.combine(now.astimezone(zone).date(), time(), tzinfo=zone).astimezone(UTC)
    mine = (_spoken.c.account_id == account) & (_spoken.c.filter_id == ACCOUNT)
    count: int = connection.execute(
        select(func.count()).select_from(_spoken).where(mine, _spoken.c.at >= midnight)
    ).scalar_one()
    return count
