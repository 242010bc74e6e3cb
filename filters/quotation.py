"""Which lines of a mail's text its sender wrote, and which are the mail he answers or passes on.

Programs mark a quotation in three ways: with `>` before each line, introduced by a line like "On 14 July Ann wrote:";
with a line like "-----Original Message-----"; or with nothing but the fields of the other mail written out. The first
can be answered between its lines, and then nothing is cut.
"""

from __future__ import annotations

import re

from filters import paragraphs, phrases

#: How many lines "On … wrote:" may be wrapped to, and how long it may be.
_INTRODUCTION_LINES, _INTRODUCTION_LENGTH = 5, 400
#: How few words an introduction has that says when and by whom in a language unknown here.
_FEW_WORDS = 16
#: How many lines the written-out fields of a mail may take, and how many of them one field's value may continue on.
_FIELD_LINES, _CONTINUATION = 30, 6

_DASH = "[-_*=~\u2010-\u2015\u2500]"
_SEPARATOR = re.compile(
    rf"\s*(?:{_DASH}{{2,40}}\s?(?:{phrases.ORIGINAL})\s?:?\s?{_DASH}{{0,40}}|(?:{phrases.BEGIN_FORWARDED})\s?:)\s*\Z",
    re.IGNORECASE,
)
_RULE = re.compile(rf"\s*(?:{_DASH}\s?){{3,200}}\s*\Z")

_DASHED = re.compile(r"\s{0,8}-{2,20}\s?\w")

_WROTE = re.compile(rf"(?<!\w)(?:{phrases.WROTE})(?!\w)", re.IGNORECASE)
_ON_DAY = re.compile(rf"\W{{0,8}}(?:{phrases.ON_DAY})(?=[\s\d,.])", re.IGNORECASE)
_QUOTING = re.compile(rf"\s*(?:{phrases.QUOTING})\s.{{1,200}}:\s*\Z", re.IGNORECASE)
_DATE = re.compile(
    rf"\d{{1,4}}[-./]\s?\d{{1,2}}[-./]\s?\d{{2,4}}|(?<!\d)(?:19|20)\d\d(?!\d)"
    rf"|\d{{1,2}}[.]?\s(?:de )?(?:{phrases.MONTHS})\b"
    rf"|\b(?:{phrases.MONTHS})[.]?\s\d{{1,2}}",
    re.IGNORECASE,
)
_TIME = re.compile(r"\d{1,2}\s?[:.h]\s?\d\d")
_ADDRESS = re.compile(r"[<(\[]?(?:mailto:)?[^\s<>()\[\]@]{1,64}@[^\s<>()\[\]@]{1,255}[>)\]]?")
_END = re.compile(r"(?::|-{2,6}|[>)])[\s*_]*\Z")
#: A name, of which every word has a capital or is a particle, and perhaps an address: "Ann de Vries <ann@example.org>".
_NAME = (
    r"(?:(?:[\"'(]?[^\W\d_a-z][\w.'’/-]*[\"')]?,?|van|von|de|der|den|del|della|di|da|du|la|le|ter|ten|af|zu|y|i|via)\s+)"
    r"{1,6}"
)
_NAME_WROTE = re.compile(
    rf"\s*(?:{_NAME}|[^\s@<>]{{1,64}}@[^\s@<>]{{1,255}}\s+)(?:[<(\[][^<>()\[\]]{{3,300}}[>)\]],?\s+)?"
    rf"(?:hat |heeft |ha )?(?:(?i:{phrases.WROTE}|am|op|le|el|il|on|den)\b).{{0,120}}\Z",
)
_NARRATES = re.compile(
    r"[!?]\s|\w{6,}[.]\s|\b(?:i|ich|ik|je|jeg|io|yo|you|du|jij|u|tu|te|ti|me|mir|mij)\b", re.IGNORECASE
)

_KIND = {name: kind for kind, names in phrases.FIELD_NAMES.items() for name in names}
_FIELD_NAME = re.compile(r"[\s*_|]*([^\W\d_][\w'’ -]{0,24}?)[\s*_\u00a0]*[:：][\s*_|]*(.*)", re.DOTALL)
_ANSWERS_BELOW = re.compile(rf"(?:{phrases.ANSWERS_BELOW})\b", re.IGNORECASE)
#: How long own words may be that refer to answers within what follows.
_REFERENCE_LENGTH = 300


def without(lines: list[str]) -> list[str]:
    """The lines the sender wrote; all of them where they stand between quoted ones; none where all is quotation."""
    appended = _appended(lines)
    if appended is None:
        return _without_marked(lines)
    own = lines[:appended]
    if _refers_below(own):
        return lines
    return _without_marked(own)


def opened(lines: list[str]) -> list[str] | None:
    """The words of a mail that says nothing itself: its quotation, without marks, introduction, written-out fields.

    None where there is no quotation.
    """
    start = _appended(lines)
    if start is None:
        first = next((index for index, line in enumerate(lines) if paragraphs.is_quoted(line)), None)
        if first is None:
            return None
        start = _introduction_start(lines, first)
    start = _after_introduction(lines, paragraphs.first_filled(lines, start))
    bare = [paragraphs.unquoted(line) for line in lines[start:]]
    start = paragraphs.first_filled(bare, 0)
    while start < len(bare) and (_SEPARATOR.match(bare[start]) or _RULE.match(bare[start])):
        start = paragraphs.first_filled(bare, start + 1)
    return bare[_fields_end(bare, start) or _after_introduction(bare, start) :]


def _appended(lines: list[str]) -> int | None:
    """Where a program began to append the other mail without marking its lines, or None."""
    for index, line in enumerate(lines):
        if len(line) > _INTRODUCTION_LENGTH or not line.strip() or paragraphs.is_quoted(line):
            continue
        if _SEPARATOR.match(line):
            return index
        if _fields_end(lines, index):
            before = paragraphs.last_filled(lines[:index])
            return before - 1 if before and _RULE.match(lines[before - 1][:_INTRODUCTION_LENGTH]) else index
        if _ON_DAY.match(line) or _DASHED.match(line):
            end = _introduction_end(lines, index)
            if end and _is_complete(_joined(lines[index:end])) and not _quotes_from(lines, end):
                return index
    return None


def _quotes_from(lines: list[str], start: int) -> bool:
    start = paragraphs.first_filled(lines, start)
    return start < len(lines) and paragraphs.is_quoted(lines[start])


def _refers_below(own: list[str]) -> bool:
    """Whether the own words above an unmarked quotation say that there are more of them within it."""
    said = _joined(own)
    return len(said) <= _REFERENCE_LENGTH and _ANSWERS_BELOW.search(said) is not None


def _without_marked(lines: list[str]) -> list[str]:
    """Cut a quotation of marked lines, with what introduces it; where there are several of them all is kept.

    One that stands between the sender's words, or that they announce, goes only where a program introduced it: somebody
    may quote a line he read.
    """
    blocks = _blocks(lines)
    if len(blocks) != 1:
        return lines
    begin, end = blocks[0]
    above = _introduction_start(lines, begin)
    before, after = lines[:above], lines[end:]
    introduced = above < begin
    if any(map(str.strip, before)) and not introduced and (any(map(str.strip, after)) or _announces(before)):
        return lines
    return [*before, *after]


def _announces(lines: list[str]) -> bool:
    """Whether the last of these lines says that something follows."""
    end = paragraphs.last_filled(lines)
    return end > 0 and lines[end - 1].rstrip().endswith(":")


def _blocks(lines: list[str]) -> list[tuple[int, int]]:
    """Where quotations begin and end that have words of the sender's between them."""
    blocks: list[tuple[int, int]] = []
    own = True
    for index, line in enumerate(lines):
        if paragraphs.is_quoted(line):
            blocks.append((index, index + 1) if own else (blocks.pop()[0], index + 1))
            own = False
        elif line.strip():
            own = True
    return blocks


def _introduction_start(lines: list[str], quotation: int) -> int:
    """Where "On … wrote:" above a marked quotation begins, or where the quotation itself does."""
    end = paragraphs.last_filled(lines[:quotation])
    found: int | None = None
    for start in range(end - 1, max(end - _INTRODUCTION_LINES, 0) - 1, -1):
        said = _joined(lines[start:end])
        if not lines[start].strip() or len(said) > _INTRODUCTION_LENGTH:
            break
        # Its last line alone may look like an introduction; the one it is begins with the day.
        if (found is None or _ON_DAY.match(said)) and _introduces(said):
            found = start
            if _ON_DAY.match(said):
                break
    return _above_separator(lines, quotation if found is None else found)


def _above_separator(lines: list[str], start: int) -> int:
    above = paragraphs.last_filled(lines[:start])
    return above - 1 if above and _SEPARATOR.match(lines[above - 1][:_INTRODUCTION_LENGTH]) else start


def _after_introduction(lines: list[str], start: int) -> int:
    """Where the quotation begins that is introduced by the line at `start`; `start` where that line introduces none."""
    if start < len(lines) and (_SEPARATOR.match(lines[start][:_INTRODUCTION_LENGTH])):
        start = paragraphs.first_filled(lines, start + 1)
    return _introduction_end(lines, start) or start


def _introduction_end(lines: list[str], start: int) -> int:
    """The index after the introduction that begins with the line at `start`, or 0."""
    for end in range(start + 1, min(start + _INTRODUCTION_LINES, len(lines)) + 1):
        if not lines[end - 1].strip():
            return 0
        said = _joined(lines[start:end])
        if len(said) > _INTRODUCTION_LENGTH:
            return 0
        if _introduces(said):
            return end
    return 0


def _introduces(said: str) -> bool:
    """Whether a line, put together again, introduces a quotation: somebody wrote, or is, at some time."""
    if not _END.search(said):
        return False
    addressed = "@" in said and _ADDRESS.search(said) is not None and _DATE.search(said) is not None
    if addressed and (_ON_DAY.match(said) or _NAME_WROTE.match(said)):
        return True
    if not said.rstrip(" *_").endswith((":", "-")):
        return False
    if addressed and _TIME.search(said) and said.count(" ") < _FEW_WORDS and not _NARRATES.search(said):
        return True
    if _QUOTING.match(said):
        return True
    if not _WROTE.search(said):
        return False
    if _ON_DAY.match(said) and _DATE.search(said):
        return _TIME.search(said) is not None or not _NARRATES.search(said)
    return _NAME_WROTE.match(said) is not None


def _is_complete(said: str) -> bool:
    """Whether an introduction says so much that no person would write it: address, date, time, "wrote"."""
    if not (_DATE.search(said) and _TIME.search(said) and _WROTE.search(said)):
        return False
    return ("@" in said and _ADDRESS.search(said) is not None) or (said.startswith("--") and said.endswith("--"))


def _fields_end(lines: list[str], start: int) -> int:
    """The index after the fields of a mail written out from the line at `start`, or 0 where there are none."""
    if start >= len(lines):
        return 0
    found: set[str] = set()
    address = False
    kind, value = _field(lines[start])
    if kind is None or kind == "other":
        return 0
    end = start
    position, continued = start, 0
    while position < min(len(lines), start + _FIELD_LINES):
        line = lines[position]
        kind, value = _field(line)
        if kind is not None and (kind == "other" or kind not in found):
            found.add(kind)
            address |= kind == "from" and "@" in value
            if kind == "from" and value.strip() and not any(map(str.isalpha, value)):
                break  # from ten to twelve
            end, continued = position + 1, 0
        elif not line.strip():
            following = _field(lines[position + 1])[0] if position + 1 < len(lines) else None
            if following is None or following in found:
                break
        elif kind is None and end == position - continued and continued < _CONTINUATION:
            continued += 1
        else:
            break
        position += 1
    return end if _is_mail(found, address=address) else 0


def _is_mail(found: set[str], *, address: bool) -> bool:
    """Whether these fields are a mail's: "From Brussels, to Paris, date: Friday" are not."""
    dated = not found.isdisjoint({"date", "sent"})
    if "from" not in found or not (dated or address):
        return False
    if "subject" in found:
        return dated or "to" in found
    return "to" in found and ("sent" in found or (dated and address))


def _field(line: str) -> tuple[str | None, str]:
    """Which field of a mail a line writes out, and its value."""
    found = _FIELD_NAME.match(line[:_INTRODUCTION_LENGTH])
    if found is None:
        return None, ""
    return _KIND.get(found[1].strip().lower().replace("’", "'")), found[2]


def _joined(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())
