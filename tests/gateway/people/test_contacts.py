"""Contacts and groups: who reads which book, who is meant by a name, what a number is good for."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from gateway import accounts, contacts, groups, names
from gateway.contacts import Kind
from gateway.failure import RefusedError
from gateway.store import schema

NUMBER = "mobile:0475 12 34 56"


def test_every_number_has_its_international_form_and_says_whether_it_serves(office: Any) -> None:
    ann = office.account()
    office.contact(ann, "Jean", "home:02 212 34 56", "0475/12.34.56", "fax:0475123457", "work:+44 7400 123456")
    home, mobile, fax, work = office.find(ann, "jean").numbers
    assert (home.e164, home.sms) == ("+3222123456", False)
    assert "is a fixed line" in (home.advice() or "")
    assert "give a mobile number" in (home.advice() or "")
    assert (mobile.kind, mobile.e164, mobile.sms, mobile.advice()) == (Kind.MOBILE, "+32475123456", True, None)
    assert (fax.e164, fax.sms) == ("+32475123457", False)
    assert "kept as a fax number" in (fax.advice() or "")
    assert (work.e164, work.sms) == ("+447400123456", True)


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("mobile:0475 12 34", "too short"),
        ("mobile:call me", "contains letters"),
        ("pager:0475123456", "'pager' is no kind of number: write mobile, home, work, fax, other"),
        ("112", "emergency number"),
    ],
)
def test_what_is_no_number_is_refused_and_nothing_of_the_contact_is_kept(office: Any, written: str, why: str) -> None:
    ann = office.account()
    with pytest.raises(RefusedError, match=why):
        office.contact(ann, "Jean", NUMBER, written)
    assert office.everyone(ann) == []


def test_the_sms_goes_to_a_mobile_first_and_else_to_what_can_get_one(office: Any) -> None:
    ann = office.account()
    office.contact(ann, "One", "work:+32475000001", "mobile:+32475000002", "mobile:+32475000003")
    office.contact(ann, "Two", "home:022123456", "work:+32475000004", "fax:022123457")
    office.contact(ann, "Three", "home:022123456")
    assert [office.find(ann, name).sms_number for name in ("one", "two", "three")] == [
        "+32475000002",
        "+32475000004",
        None,
    ]
    assert office.find(ann, "two").fax_number == "+3222123457"


def test_a_number_given_twice_is_one(office: Any) -> None:
    ann = office.account()
    office.contact(ann, "Jean", "0475123456", "work:+32 475 12 34 56", mail=("a@B.org", "A@b.org"))
    found = office.find(ann, "Jean")
    assert [one.e164 for one in found.numbers] == ["+32475123456"]
    assert [one.address for one in found.addresses] == ["a@b.org"]


@pytest.mark.parametrize("written", ["jean.dupont", "JEAN_DUPONT", "Jean-Dupont", "jéan  dupont", "Jean Dupont"])
def test_a_name_is_found_however_it_is_written(office: Any, written: str) -> None:
    ann = office.account()
    number = office.contact(ann, "Jean Dupont", NUMBER)
    assert office.find(ann, written).id == number


def test_a_name_that_fits_two_contacts_is_refused_showing_both(office: Any) -> None:
    ann = office.account()
    office.group("team", "ann")
    office.contact(ann, "Jean Dupont", NUMBER)
    office.contact(ann, "jean.dupont", "+32475000009", book="team")
    assert office.find(ann, "Jean Dupont").book == "private"  # exactly so is only one called
    with pytest.raises(RefusedError) as refused:
        office.find(ann, "JEAN DUPONT")
    said = str(refused.value)
    assert "+32475123456" in said
    assert "+32475000009" in said
    assert "write the number" in said


def test_a_missing_name_is_told_with_the_nearest(office: Any) -> None:
    ann = office.account()
    office.contact(ann, "Zoé Martin", NUMBER)
    with pytest.raises(RefusedError, match=r"there is no contact Zoe Marten; did you mean Zoé Martin\?"):
        office.find(ann, "Zoe Marten")


@pytest.mark.parametrize("name", ["", "  ", "0475 12 34 56", "+32", "x" * 201, "a\x07b", "..."])
def test_what_cannot_be_a_name_is_refused(office: Any, name: str) -> None:
    with pytest.raises(RefusedError):
        office.contact(office.account(), name, NUMBER)


def test_one_name_is_added_once_to_a_book(office: Any) -> None:
    ann = office.account()
    office.contact(ann, "Jean Dupont", NUMBER)
    with pytest.raises(RefusedError, match="the private book has Jean Dupont already"):
        office.contact(ann, "jean dupont", NUMBER)


def test_a_change_replaces_what_is_given_and_nothing_else(office: Any) -> None:
    ann = office.account()
    office.contact(ann, "Jean", NUMBER, mail=("jean@example.org",))
    before = office.find(ann, "Jean")
    new = [contacts.telephone_of("work:+32475000001", "BE")]
    office.store.run_now(
        lambda connection: contacts.change(connection, before, now=before.changed, name="Johnny", telephones=new)
    )
    after = office.find(ann, "johnny")
    assert (after.id, after.uid, after.addresses) == (before.id, before.uid, before.addresses)
    assert [one.e164 for one in after.numbers] == ["+32475000001"]


# Groups ---------------------------------------------------------------------------------------------------------------


def test_members_read_the_book_of_their_group_and_nobody_else_does(office: Any) -> None:
    ann, bob, eve = office.account("ann"), office.account("bob"), office.account("eve")
    office.group("team", "ann", "bob")
    office.contact(ann, "Jean", NUMBER, book="team")
    office.contact(ann, "Secret", NUMBER)
    assert [one.name for one in office.everyone(bob)] == ["Jean"]
    assert [(one.name, one.book) for one in office.everyone(ann)] == [("Jean", "team"), ("Secret", "private")]
    assert office.everyone(eve) == []
    with pytest.raises(RefusedError, match="there is no contact Jean"):
        office.find(eve, "Jean")
    with pytest.raises(RefusedError, match="no member of team"):
        office.contact(eve, "Intruder", NUMBER, book="team")
    assert [one.name for one in office.everyone(ann, "team")] == ["Jean"]
    with pytest.raises(RefusedError, match="there is no book team"):
        office.everyone(eve, "team")


def test_a_contact_of_a_group_cannot_be_had_by_its_id_either(office: Any) -> None:
    ann, eve = office.account("ann"), office.account("eve")
    number = office.contact(ann, "Secret", NUMBER)
    with pytest.raises(RefusedError, match="there is no contact"):
        office.find(eve, str(number))


def test_who_leaves_a_group_reads_its_book_no_more(office: Any) -> None:
    ann, bob = office.account("ann"), office.account("bob")
    office.group("team", "ann", "bob")
    office.contact(ann, "Jean", NUMBER, book="team")
    office.list(bob, "friends", "Jean")
    office.store.run_now(lambda connection: groups.remove(connection, "team", ["bob"]))
    assert office.everyone(bob) == []
    assert [leaf.contact for leaf in office.leaves(bob, "friends")] == [None]
    assert [one.name for one in office.everyone(ann)] == ["Jean"]


def test_groups_are_made_once_added_to_and_erased_with_their_book(office: Any) -> None:
    ann = office.account("ann")
    office.account("bob")
    office.group("Team", "ann")
    office.group("team", "bob", "ann")
    (team,) = office.store.read_now(groups.everything)
    assert (team.name, team.members) == ("Team", ("ann", "bob"))
    office.contact(ann, "Jean", NUMBER, book="team")
    office.store.run_now(lambda connection: groups.remove(connection, "TEAM"))
    assert office.everyone(ann) == []
    assert office.store.read_now(groups.everything) == []
    with pytest.raises(RefusedError, match="every account's own book"):
        office.group("Private", "ann")


def test_an_erased_account_takes_its_book_with_it_and_leaves_the_groups(office: Any) -> None:
    ann, bob = office.account("ann"), office.account("bob")
    office.group("team", "ann", "bob")
    office.contact(ann, "Jean", NUMBER, book="team")
    office.contact(ann, "Secret", NUMBER, mail=("s@example.org",))
    office.list(ann, "all", "Secret", "Jean", "0475000001")
    office.opt_out("+32475000001", owner=ann)
    office.store.run_now(lambda connection: accounts.remove(connection, "ann"))
    assert [one.name for one in office.everyone(bob)] == ["Jean"]
    for table, count in ((schema.contact, 1), (schema.telephone, 1), (schema.recipient_list, 0), (schema.optout, 0)):
        assert len(office.store.read_now(lambda c, table=table: c.execute(table.select()).all())) == count


def test_two_additions_of_one_name_at_once_are_one(office: Any) -> None:
    ann = office.account()
    start = threading.Barrier(4)
    told: list[str] = []

    def add() -> None:
        start.wait()
        try:
            office.contact(ann, "Jean Dupont", NUMBER)
        except RefusedError as error:
            told.append(str(error))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.name for one in office.everyone(ann)] == ["Jean Dupont"]
    assert len(told) == 3


# Who writes -----------------------------------------------------------------------------------------------------------


def test_books_are_sets_of_addresses_of_their_owner(office: Any) -> None:
    ann, bob = office.account("ann"), office.account("bob")
    office.group("My Team", "ann", "bob")
    office.contact(ann, "Jean", mail=("Jean@Example.org", "j@home.example"))
    office.contact(bob, "Zoé", mail=("zoe@example.org",), book="my team")
    asked = ["book:private", "group:my-team", "book:My Team", "any", "group:other", "nonsense"]
    found = office.store.read_now(lambda connection: contacts.books(connection, ann, asked))
    assert found == {
        "book:private": {"jean@example.org", "j@home.example"},
        "group:my-team": {"zoe@example.org", "ann@example.org", "bob@example.org"},
        "book:My Team": {"zoe@example.org"},
        "any": {"jean@example.org", "j@home.example", "zoe@example.org"},
        "group:other": frozenset(),
        "nonsense": frozenset(),
    }


def test_folding_is_idempotent_and_knows_no_accents() -> None:
    for name in ("Jean Dupont", "Émile  Zola", "ﬁne-Print_x", "İstanbul", "Straße", "Åsa.Ödegård", "山田 太郎"):
        assert names.fold(names.fold(name)) == names.fold(name)
    assert names.fold("Émile.ZOLA") == "emile zola"
    assert names.fold("Straße") == "strasse"
