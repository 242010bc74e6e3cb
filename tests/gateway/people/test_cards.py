"""vCards in and out: versions 2.1, 3.0 and 4.0, broken files, round trips."""

from __future__ import annotations

import io
import time
import unicodedata
from datetime import UTC, datetime
from typing import Any

import pytest
import vobject
from hypothesis import given
from hypothesis import strategies as st

from gateway import cards, contacts
from gateway.cards.content_lines import BrokenLineError, escape, logical, parse, physical, unescape
from gateway.contacts import Contact, Entry, Kind, Mailbox, Telephone

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def card(*lines: str, version: str = "4.0") -> bytes:
    return "\r\n".join(["BEGIN:VCARD", f"VERSION:{version}", *lines, "END:VCARD", ""]).encode()


def read(octets: bytes) -> Entry:
    found = cards.read(octets, "BE")
    assert found.faults == []
    (one,) = found.cards
    return one.entry


def numbers(entry: Entry) -> list[tuple[str, str | None]]:
    return [(one.kind.value, one.e164) for one in entry.numbers]


# Reading --------------------------------------------------------------------------------------------------------------


def test_version_4_with_uris_preferences_and_groups() -> None:
    entry = read(
        card(
            "UID:urn:uuid:4fbe8971-0bc3-424c-9c26-36c3e1eff6b1",
            "FN;PREF=1:Jean Dupont",
            "N:Dupont;Jean;;;",
            'TEL;VALUE=uri;PREF=2;TYPE="voice,home":tel:+32-2-212-34-56;ext=102',
            'TEL;VALUE=uri;PREF=1;TYPE="voice,cell":tel:+32-475-12-34-56',
            "item1.TEL:0475 00 00 01",
            "item1.X-ABLabel:Boat",
            "EMAIL;TYPE=work;PREF=1:jean@work.example",
            "EMAIL:jean@home.example",
            "NOTE:one\\ntwo\\, three\\; four \\\\ five",
        )
    )
    assert (entry.name, entry.uid) == ("Jean Dupont", "urn:uuid:4fbe8971-0bc3-424c-9c26-36c3e1eff6b1")
    assert numbers(entry) == [("mobile", "+32475123456"), ("home", "+3222123456"), ("mobile", "+32475000001")]
    assert [(one.address, one.kind) for one in entry.addresses] == [
        ("jean@work.example", "work"),
        ("jean@home.example", ""),
    ]
    assert entry.card == "N:Dupont;Jean;;;\nNOTE:one\\ntwo\\, three\\; four \\\\ five"


def test_version_3_with_types_and_folded_lines() -> None:
    entry = read(
        card(
            "FN:Zoé\r\n  Mart\r\n in",
            "TEL;TYPE=WORK,VOICE:+32 2 212 34 56",
            "tel;type=cell;type=pref:+32475123456",
            "TEL;TYPE=home,fax:022123457",
            "EMAIL;TYPE=INTERNET,HOME:zoe@example.org",
            version="3.0",
        )
    )
    assert entry.name == "Zoé Martin"
    assert numbers(entry) == [("mobile", "+32475123456"), ("work", "+3222123456"), ("fax", "+3222123457")]
    assert entry.addresses == [Mailbox("zoe@example.org", "home")]


def test_version_2_1_with_quoted_printable_and_bare_types() -> None:
    entry = read(
        card(
            "N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:D=C3=BCpont;=C3=89mile;;;",
            "TEL;CELL;PREF:0475123457",
            "TEL;FAX;WORK:022123457",
            "NOTE;ENCODING=QUOTED-PRINTABLE:a long=0D=0A=\r\n text",
            "NICKNAME;CHARSET=ISO-8859-1;QUOTED-PRINTABLE:=E9t=E9",
            "PHOTO;ENCODING=BASE64;JPEG:\r\n /9j/4AAQ\r\n /9j/4AAQ\r\n",
            version="2.1",
        )
    )
    assert entry.name == "Émile Düpont"
    assert numbers(entry) == [("mobile", "+32475123457"), ("fax", "+3222123457")]
    assert entry.card == "N:Düpont;Émile;;;\nNOTE:a long\\n text\nNICKNAME:été"


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (["N:Dupont;Jean;;;"], "Jean Dupont"),
        (["FN: ", "NICKNAME:Jojo"], "Jojo"),
        (["FN:", "ORG:ACME\\; Inc.;Sales"], "ACME; Inc."),
        (["FN:+32475123456", "EMAIL:a@example.org"], "a@example.org"),
        (["FN:O\\'Neil"], "O'Neil"),
    ],
)
def test_a_card_without_a_good_fn_is_called_by_what_else_it_says(lines: list[str], name: str) -> None:
    assert read(card(*lines)).name == name


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (b"\xef\xbb\xbf" + card("FN:Zo\u00e9"), "Zoé"),
        (card("FN:Zo\u00e9").decode().encode("utf-16"), "Zoé"),
        (card("FN:Zo\u00e9").decode().encode("cp1252"), "Zoé"),
        (card("FN:Zoé").replace(b"\r\n", b"\n"), "Zoé"),
        (card("FN:Zoé").replace(b"\r\n", b"\r"), "Zoé"),
        (card("FN:Zoé").replace(b"BEGIN:VCARD", b"begin:vcard"), "Zoé"),
        (b"\r\n\r\n" + card("FN:Zoé") + b"\r\n  \r\n", "Zoé"),
        (card("FN:a\u2028b"), "a b"),
    ],
)
def test_files_of_every_encoding_and_line_end_are_read(octets: bytes, name: str) -> None:
    assert read(octets).name == name


def test_broken_cards_are_named_by_line_and_the_rest_is_taken() -> None:
    octets = b"".join(
        [
            b"rubbish in front\r\n",  # 1
            card("FN:First", "TEL:0475123456"),  # 2-6
            card("FN:No colon", "what is this"),  # 7-11
            card("TEL:0475123456"),  # 12-15
            card("FN:New", version="5.0"),  # 16-19
            b"BEGIN:VCARD\r\nFN:Unended\r\n",  # 20-21
            card("FN:Second", 'TEL;TYPE="cell:0475123456'),  # 22-26
            card("FN:Third", "TEL:12", "EMAIL:nonsense"),  # 27-32
            b"BEGIN:VCARD\r\nFN:Last",  # 33
        ]
    )
    found = cards.read(octets, "BE")
    assert [one.entry.name for one in found.cards] == ["First", "Third"]
    assert [one.line for one in found.cards] == [2, 27]
    assert [(one.line, one.why.partition(":")[0]) for one in found.faults] == [
        (1, "this stands in no card"),
        (10, "it is no property"),
        (12, "the card has no name"),
        (17, "version 5.0 is not known"),
        (20, "the card that begins here has no END"),
        (25, "the parameters of TEL cannot be read"),
        (33, "the card that begins here has no END"),
    ]
    assert [(one.line, one.why.partition(":")[0]) for one in found.notes] == [
        (30, "kept as it is written"),
        (31, "left out"),
    ]


@pytest.mark.parametrize("octets", [b"", b"\0\1\2", b"hello\r\n", b"END:VCARD", bytes(range(256)) * 10])
def test_what_is_no_card_file_is_told_so(octets: bytes) -> None:
    found = cards.read(octets, "BE")
    assert found.cards == []
    assert len(found.faults) == 1


def test_cards_within_cards_and_groups_of_cards_are_not_people() -> None:
    inner = "AGENT:\r\nBEGIN:VCARD\r\nVERSION:2.1\r\nFN:Inner\r\nTEL:0475000009\r\nEND:VCARD"
    assert numbers(read(card("FN:Outer", inner, "TEL:0475123456", version="2.1"))) == [("mobile", "+32475123456")]
    found = cards.read(card("KIND:group", "FN:Friends", "MEMBER:urn:uuid:1"), "BE")
    assert (found.cards, found.faults) == ([], [])
    assert "make a list of them" in found.notes[0].why


@pytest.mark.parametrize(
    "line",
    [
        "TEL;" + "A;" * 30_000,
        "TEL" + ";A=b,c" * 10_000,
        "A" * 60_000,
        'TEL;A="' + "x" * 60_000,
        "A." * 30_000,
        ";" * 60_000,
    ],
)
def test_a_hostile_line_costs_no_time(line: str) -> None:
    began = time.monotonic()
    with pytest.raises(BrokenLineError):
        parse(line, 1)
    assert time.monotonic() - began < 1


def test_a_picture_of_megabytes_is_passed_over() -> None:
    picture = "PHOTO;ENCODING=b:" + "\r\n ".join(["A" * 74] * 40_000)
    began = time.monotonic()
    assert read(card("FN:Jean", picture, "TEL:0475123456", version="3.0")).card == ""
    assert time.monotonic() - began < 5


@given(st.binary(max_size=2000))
def test_nothing_in_a_file_makes_reading_fail(octets: bytes) -> None:
    cards.read(octets, None)
    cards.read(b"BEGIN:VCARD\r\n" + octets + b"\r\nEND:VCARD\r\n", "BE")


@given(st.text())
def test_escaping_is_undone(text: str) -> None:
    assert unescape(escape(text)) == text.replace("\r\n", "\n").replace("\r", "\n")


# Writing --------------------------------------------------------------------------------------------------------------

NAMES = st.text(min_size=1, max_size=60).map(lambda text: "x" + text).filter(lambda text: text.isprintable())


@st.composite
def people(draw: Any) -> Contact:
    kinds = draw(st.lists(st.sampled_from(list(Kind)), max_size=4))
    telephones = [
        contacts.telephone(f"+324750000{n:02}", kind.value, None)
        for n, kind in enumerate(kinds)
        if kind is not Kind.OTHER
    ]
    boxes = [
        Mailbox(f"a{n}@example.org", kind)
        for n, kind in enumerate(draw(st.lists(st.sampled_from(["", "home", "work"]))))
    ]
    notes = draw(st.lists(st.text(max_size=200).map(escape), max_size=2))
    kept = "\n".join(f"NOTE:{note}" for note in notes if note.strip(" ;") and note.isprintable())
    name = " ".join(draw(NAMES).split())
    return Contact(1, "private", "urn:uuid:1", name, tuple(telephones), tuple(boxes), NOW, NOW, kept)


@given(people(), st.sampled_from(cards.VERSIONS))
def test_what_is_written_is_read_again(contact: Contact, version: str) -> None:
    entry = read(cards.write(contact, version))
    assert entry.name == unicodedata.normalize("NFC", contact.name)
    assert [(one.kind, one.e164) for one in entry.numbers] == [(one.kind, one.e164) for one in contact.numbers]
    assert tuple(entry.addresses) == contact.addresses
    assert (entry.uid, entry.card) == (contact.uid, contact.card)


@given(people(), st.sampled_from(cards.VERSIONS))
def test_another_reader_understands_what_is_written(contact: Contact, version: str) -> None:
    octets = cards.write(contact, version)
    assert all(len(line) <= 75 for line in octets.split(b"\r\n"))
    (found,) = vobject.readComponents(io.StringIO(octets.decode(), newline=""))
    assert found.version.value == version
    assert found.fn.value == contact.name
    said = [one.value.removeprefix("tel:") for one in found.contents.get("tel", ())]
    assert said == [one.e164 for one in contact.numbers]
    assert [one.value for one in found.contents.get("email", ())] == [one.address for one in contact.addresses]


def test_version_3_has_a_name_in_parts_and_no_properties_of_version_4() -> None:
    telephone = Telephone(Kind.MOBILE, "0475123456", "+32475123456", True)
    contact = Contact(1, "private", "u", "Jean", (telephone,), (), NOW, NOW, "GENDER:M\nORG:ACME;Sales")
    three, four = cards.write(contact, "3.0").decode(), cards.write(contact, "4.0").decode()
    assert "N:;Jean;;;\r\n" in three
    assert "X-GENDER:M\r\n" in three
    assert "TEL;TYPE=cell:+32475123456\r\n" in three
    assert "\r\nN:" not in four
    assert "GENDER:M\r\n" in four
    assert "TEL;TYPE=cell;VALUE=uri:tel:+32475123456\r\n" in four
    assert all(one.startswith("BEGIN:VCARD\r\nVERSION:") for one in (three, four))


def test_lines_are_put_together_whatever_folded_them() -> None:
    text = "A:1\r\n 2\r\n\t3\r\nB;QUOTED-PRINTABLE:x=\r\ny=\r\nz\r\nC:="
    assert list(logical(physical(text))) == [(1, "A:123"), (4, "B;QUOTED-PRINTABLE:xyz"), (7, "C:=")]


# Taking ---------------------------------------------------------------------------------------------------------------


def take(office: Any, owner: int, *octets: bytes) -> tuple[int, int, int]:
    found = cards.read(b"".join(octets), "BE")
    assert found.faults == []
    done = office.store.run_now(
        lambda connection: cards.take(connection, contacts.open_book(connection, owner), found.cards, now=NOW)
    )
    return done.added, done.changed, done.unchanged


FIRST = card("UID:1", "FN:Jean Dupont", "TEL:0475123456", "NOTE:x")
NAMELESS = card("FN:Zoé", "TEL:0475000001")


def test_the_same_file_twice_changes_nothing(office: Any) -> None:
    ann = office.account()
    assert take(office, ann, FIRST, NAMELESS) == (2, 0, 0)
    before = office.everyone(ann)
    assert take(office, ann, FIRST, NAMELESS) == (0, 0, 2)
    assert office.everyone(ann) == before


def test_a_card_with_a_known_uid_replaces_its_contact(office: Any) -> None:
    ann = office.account()
    take(office, ann, FIRST)
    office.list(ann, "friends", "Jean Dupont")
    assert take(office, ann, card("UID:1", "FN:Jean Durand", "TEL:0475000009")) == (0, 1, 0)
    (found,) = office.everyone(ann)
    assert (found.name, [one.e164 for one in found.numbers], found.card) == ("Jean Durand", ["+32475000009"], "")
    assert [leaf.contact.id for leaf in office.leaves(ann, "friends")] == [found.id]


def test_two_people_of_one_name_stay_two(office: Any) -> None:
    ann = office.account()
    others = (card("UID:2", "FN:Jean Dupont", "TEL:0475000002"), card("FN:Jean Dupont", "TEL:0475000003"))
    assert take(office, ann, FIRST, *others) == (3, 0, 0)
    assert take(office, ann, FIRST, *others) == (0, 0, 3)
    assert len(office.everyone(ann)) == 3


def test_the_same_person_without_uid_is_added_to(office: Any) -> None:
    ann = office.account()
    office.contact(ann, "Zoé", "0475000001")
    assert take(office, ann, card("FN:zoe", "TEL:+32475000001", "TEL:0475000004", "EMAIL:z@example.org")) == (0, 1, 0)
    found = office.find(ann, "Zoé")
    assert [one.e164 for one in found.numbers] == ["+32475000001", "+32475000004"]
    assert [one.address for one in found.addresses] == ["z@example.org"]


def test_a_book_that_was_exported_comes_back_as_it_was(office: Any) -> None:
    ann, bob = office.account("ann"), office.account("bob")
    office.contact(ann, "Jean, the «first»; really", "home:022123456", "fax:022123457", "0475123456", mail=("j@x.org",))
    take(office, ann, FIRST, NAMELESS)
    for version in cards.VERSIONS:
        exported = b"".join(cards.write(one, version) for one in office.everyone(ann))
        assert take(office, ann, exported) == (0, 0, 3)
    take(office, bob, exported)
    assert [(one.name, one.uid, one.addresses, one.card) for one in office.everyone(bob)] == [
        (one.name, one.uid, one.addresses, one.card) for one in office.everyone(ann)
    ]
