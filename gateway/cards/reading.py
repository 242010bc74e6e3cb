"""From the octets of a vCard file to entries of a book; what is broken is named by its line, and the rest is taken."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from gateway import contacts, mail_address, names
from gateway.cards.content_lines import BINARY, BrokenLineError, ContentLine, logical, parse, physical
from gateway.contacts import Entry, Kind, Mailbox, Telephone
from gateway.failure import RefusedError
from gateway.numbers import Kind as Line

#: Properties that are read, or mean nothing in another program's hands; every other is kept as it is.
_READ = frozenset({"BEGIN", "END", "VERSION", "FN", "TEL", "EMAIL", "UID", "REV", "PRODID", "KIND", "X-ABLABEL"})
_VERSIONS = frozenset({"", "2.1", "3.0", "4.0"})
#: How much is kept of a card that is only kept, in characters.
_MOST_KEPT = 16 * 1024
#: PREF of who has none (RFC 6350 section 5.3), and what TYPE=pref is taken for.
_LAST, _FIRST = 101, 1


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a card, or with something of it, and on which line."""

    line: int
    why: str


@dataclass(frozen=True, slots=True)
class Card:
    """A card that can be taken; `line` is where it begins."""

    line: int
    entry: Entry


@dataclass(slots=True)
class Reading:
    """A file that was read. `faults` are cards that are not taken, `notes` what of the others deserves a look."""

    cards: list[Card] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    notes: list[Fault] = field(default_factory=list)


def read(octets: bytes, region: str | None) -> Reading:
    """Every card of a file; national numbers are those of `region`."""
    found = Reading()
    any_card = False
    for start, lines, whole in _cards(_decoded(octets), found):
        any_card = True
        if not whole:
            found.faults.append(Fault(start, "the card that begins here has no END:VCARD"))
            continue
        notes: list[Fault] = []
        try:
            entry = _Reader(start, region, notes).entry([parse(text, at) for at, text in _worth(lines)])
        except _CardError as error:
            found.faults.append(Fault(error.line, str(error)))
        except BrokenLineError as error:
            found.faults.append(Fault(_broken_line(lines), str(error)))
        else:
            found.notes += notes
            if entry is not None:
                found.cards.append(Card(start, entry))
    if not any_card and not found.faults:
        found.faults.append(Fault(1, "there is no card in it: a card begins with BEGIN:VCARD"))
    return found


class _CardError(Exception):
    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line


def _decoded(octets: bytes) -> str:
    """The text of a file: UTF-8, what its mark of byte order says, else what old programs on Windows write."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if octets.startswith(mark):
            return octets.decode(encoding, "replace").removeprefix("\ufeff")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("cp1252", "replace")


def _cards(text: str, found: Reading) -> Iterator[tuple[int, list[tuple[int, str]], bool]]:
    """Each card's first line, its lines, and whether it ends; cards within cards (AGENT) are skipped."""
    start, gathered, depth, agent = 0, list[tuple[int, str]](), 0, False
    stray = False
    for number, line in physical(text):
        word = line.strip().upper()
        if word == "BEGIN:VCARD":
            if depth and agent:
                depth += 1
            else:
                if depth:
                    yield start, gathered, False
                start, gathered, depth = number, [], 1
        elif word == "END:VCARD" and depth:
            depth -= 1
            if not depth:
                yield start, gathered, True
                stray = False
        elif depth == 1:
            gathered.append((number, line))
        elif not depth and word and not stray:
            stray = True
            found.faults.append(Fault(number, "this stands in no card: a card begins with BEGIN:VCARD"))
        agent = word.startswith("AGENT") or (agent and not word)
    if depth:
        yield start, gathered, False


def _worth(lines: Sequence[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The logical lines that are to be parsed: not pictures, however long, and no empty ones."""
    for number, line in logical(lines):
        name = line[:80].partition(":")[0].partition(";")[0].rpartition(".")[2].upper()
        if line.strip() and name not in BINARY:
            yield number, line


def _broken_line(lines: Sequence[tuple[int, str]]) -> int:
    """The first line that cannot be parsed."""
    for number, line in _worth(lines):
        try:
            parse(line, number)
        except BrokenLineError:
            return number
    raise AssertionError("every line can be parsed")


@dataclass(slots=True)
class _Reader:
    """Makes an entry of one card's properties."""

    start: int
    region: str | None
    notes: list[Fault]

    def entry(self, lines: Sequence[ContentLine]) -> Entry | None:
        """The entry; None for what is no person's card, which is noted."""
        first = {line.name: line for line in reversed(lines)}
        version = first["VERSION"].value.strip() if "VERSION" in first else ""
        if version not in _VERSIONS:
            raise _CardError(first["VERSION"].line, f"version {version[:20]} is not known: write 3.0 or 4.0")
        if "KIND" in first and first["KIND"].text.strip().lower() == "group":
            self.notes.append(Fault(self.start, "this is a group of cards, not somebody: make a list of them"))
            return None
        telephones = contacts.once(filter(None, map(self._telephone, _preferred(lines, "TEL"))))
        boxes = contacts.once(filter(None, map(self._mailbox, _preferred(lines, "EMAIL"))))
        name = self._name(first, boxes)
        uid = first["UID"].text.strip()[:200] if "UID" in first else ""
        return Entry(name, telephones, boxes, uid, _kept(lines, name))

    def _name(self, first: dict[str, ContentLine], boxes: Sequence[Mailbox]) -> str:
        """What the card is called: FN, else what can stand for it."""
        candidates = [first["FN"].text] if "FN" in first else []
        if "N" in first:
            family, given, more, *_ = [*first["N"].parts(), "", "", ""]
            candidates.append(" ".join(filter(None, (given.strip(), more.strip(), family.strip()))))
        candidates += [first["NICKNAME"].text] if "NICKNAME" in first else []
        candidates += [first["ORG"].parts()[0]] if "ORG" in first else []
        candidates += [box.address for box in boxes]
        error: RefusedError | None = None
        for candidate in candidates:
            if candidate.strip():
                try:
                    return names.checked(candidate, "contact")
                except RefusedError as refused:
                    error = error or refused
        line = first["FN"].line if "FN" in first else self.start
        raise _CardError(line, str(error) if error is not None else "the card has no name: FN is missing")

    def _telephone(self, line: ContentLine) -> Telephone | None:
        written = line.text.strip()
        if written.lower().startswith("tel:"):
            written = unquote(written[4:].partition(";")[0])
        if not written:
            return None
        written = " ".join(written.split())[:100]
        found = contacts.telephone(written, _kind(line.types), self.region)
        if found.kind is Kind.OTHER and found.judge(self.region).kind is Line.MOBILE and "voice" not in line.types:
            found = contacts.telephone(written, Kind.MOBILE, self.region)
        if found.e164 is None:
            self.notes.append(Fault(line.line, f"kept as it is written: {found.advice(self.region)}"))
        return found

    def _mailbox(self, line: ContentLine) -> Mailbox | None:
        if not line.value.strip():
            return None
        try:
            address = mail_address.checked(line.text.strip())
        except RefusedError as error:
            self.notes.append(Fault(line.line, f"left out: {error}"))
            return None
        kind = next((kind for kind in ("home", "work") if kind in line.types), "")
        return Mailbox(address, kind)


def _kind(types: set[str]) -> Kind:
    for kind, words in (
        (Kind.FAX, {"fax"}),
        (Kind.MOBILE, {"cell", "mobile", "pcs", "iphone"}),
        (Kind.WORK, {"work"}),
        (Kind.HOME, {"home"}),
    ):
        if words & types:
            return kind
    return Kind.OTHER


def _preferred(lines: Sequence[ContentLine], name: str) -> list[ContentLine]:
    """The lines of a property, the preferred first (RFC 6350 section 5.3; TYPE=pref of RFC 2426)."""

    def rank(line: ContentLine) -> int:
        written = line.parameters.get("PREF", [""])[0]
        if written.isascii() and written.isdecimal():
            return int(written[:9])
        return _FIRST if "pref" in line.types else _LAST

    return sorted((line for line in lines if line.name == name), key=rank)


def _kept(lines: Sequence[ContentLine], name: str) -> str:
    """What else the card says, as content lines of vCard 3.0 and 4.0 alike, in as far as there is room."""
    kept: list[str] = []
    size = 0
    for line in lines:
        if line.name in _READ or line.name in BINARY or line.name == "AGENT" or not line.value.strip(" ;"):
            continue
        if line.name == "N" and line.parts()[:2] == ["", name]:
            continue  # what we wrote ourselves for want of anything better
        types = sorted(one for one in line.types - {"pref"} if one.replace("-", "").isalnum() and one.isascii())
        head = f"{line.name};TYPE={','.join(types)}" if types else line.name
        # A raw line break cannot be here; what else would end a line for somebody is written as text.
        one = f"{head}:{line.value}".replace("\u2028", " ").replace("\u2029", " ").replace("\x85", " ")
        size += len(one)
        if size > _MOST_KEPT:
            break
        kept.append("".join(mark for mark in one if mark.isprintable() or mark == "\t"))
    return "\n".join(kept)
