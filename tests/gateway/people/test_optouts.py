"""Opt-outs: of one account, of everybody."""

from __future__ import annotations

from typing import Any

import pytest

from gateway import optouts
from gateway.failure import RefusedError

NUMBER = "+32475000001"


def among(office: Any, owner: int, *addresses: str) -> dict[str, str]:
    found: dict[str, str] = office.store.read_now(lambda connection: optouts.among(connection, owner, addresses))
    return found


def test_who_opted_out_of_one_account_still_hears_from_others(office: Any) -> None:
    ann, bob = office.account("ann"), office.account("bob")
    office.opt_out(NUMBER, owner=ann)
    office.opt_out("zoe@example.org")
    assert set(among(office, ann, NUMBER, "Zoe@Example.org", "+32475000002")) == {NUMBER, "zoe@example.org"}
    assert set(among(office, bob, NUMBER, "ZOE@example.org")) == {"zoe@example.org"}


def test_an_opt_out_is_taken_back_where_it_was_made(office: Any) -> None:
    ann = office.account()
    office.opt_out(NUMBER, owner=ann)
    office.opt_out(NUMBER, owner=ann)
    with pytest.raises(RefusedError, match="has not opted out for everybody"):
        office.store.run_now(lambda connection: optouts.remove(connection, optouts.EVERYBODY, NUMBER))
    office.store.run_now(lambda connection: optouts.remove(connection, ann, NUMBER))
    assert among(office, ann, NUMBER) == {}
    assert office.store.read_now(optouts.anybody) is False


def test_addresses_are_kept_as_they_are_compared() -> None:
    assert optouts.read("0475 00 00 01", "BE") == NUMBER
    assert optouts.read(" Zoe@Example.ORG", None) == "zoe@example.org"
    with pytest.raises(RefusedError, match="too short"):
        optouts.read("0475", "BE")


def test_many_are_looked_for_at_once(office: Any) -> None:
    ann = office.account()
    office.opt_out("+32475000777", "+32475001999")
    asked = [f"+3247500{n:04}" for n in range(2500)]
    assert set(among(office, ann, *asked)) == {"+32475000777", "+32475001999"}
