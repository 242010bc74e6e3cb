"""A file of vCards, of any version and from any program, is an address book for a filter that is tried."""

from __future__ import annotations

import pytest

from daemon.trying import address_book
from gateway.failure import RefusedError

OLD = """\
BEGIN:VCARD
VERSION:2.1
N:Muller;Jurgen
FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:J=C3=BCrgen M=C3=BCller
TEL;CELL:+32475123457
TEL;WORK;FAX:+3222123456
EMAIL;INTERNET:Jurgen@m.example
END:VCARD
"""
APPLE = """\
BEGIN:VCARD
VERSION:3.0
N:Doe;Jane;;;
FN:Jane Doe
item1.EMAIL;type=INTERNET;type=pref:jane@doe.exam
 ple
item2.TEL;type=CELL;type=VOICE;type=pref:(0475) 12-34-58
PHOTO;ENCODING=b;TYPE=JPEG:AAAA
 BBBB
CATEGORIES:Friends,Choir
END:VCARD
"""
NEW = """\
BEGIN:VCARD
VERSION:4.0
UID:urn:uuid:7
FN:No N
EMAIL;PREF=1:a@b.example
TEL;TYPE=cell;VALUE=uri:tel:+32-475-12-34-59;ext=5
END:VCARD
BEGIN:VCARD
VERSION:4.0
KIND:group
FN:Choir
MEMBER:urn:uuid:7
MEMBER:tel:+32-475-12-34-60
MEMBER:mailto:stranger@example.org
END:VCARD
"""


def read(text: str) -> address_book.AddressBook:
    return address_book.read(text.encode())


@pytest.mark.parametrize("breaks", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_cards_of_every_version_are_read(breaks: str, mark: str) -> None:
    book = read(mark + (OLD + APPLE + "\n" + NEW).replace("\n", breaks))
    assert book.reached("sms", "contact:jurgen müller", None) == ["+32475123457"]
    assert book.reached("fax", "contact:Jürgen Müller", None) == ["+3222123456"]
    assert book.reached("email", "contact:Jane Doe", None) == ["jane@doe.example"]
    assert book.reached("sms", "contact:Jane Doe", "BE") == ["+32475123458"]
    assert book.reached("sms", "contact:Jane Doe", None) == []
    assert book.reached("sms", "contact:No N", None) == ["+32475123459"]


def test_groups_and_categories_are_lists() -> None:
    book = read(APPLE + NEW)
    assert book.reached("sms", "list:choir", "BE") == ["+32475123458", "+32475123459", "+32475123460"]
    assert book.reached("email", "list:Choir", None) == ["jane@doe.example", "a@b.example", "stranger@example.org"]
    assert book.addresses("group:friends") == {"jane@doe.example"}
    assert book.addresses("list:nobody") == frozenset()
    assert book.addresses("book:whatever") == book.addresses("any") == {"jane@doe.example", "a@b.example"}


def test_whose_name_is_whose_address() -> None:
    assert read(OLD).by_name() == {"jurgen muller": {"jurgen@m.example"}}


@pytest.mark.parametrize("text", ["BEGIN:VCARD\nVERSION:3.0\nFN:x\n", "no card at all", "BEGIN:VCARD\nFN"])
def test_what_is_no_address_book_is_refused(text: str) -> None:
    with pytest.raises(RefusedError, match="contacts"):
        read(text)
