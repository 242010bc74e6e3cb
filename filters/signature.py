"""Where a mail's words end and its sender's signature begins."""

from __future__ import annotations

import re

from filters import paragraphs, phrases, quotation

#: How many lines a signature after a bare `--` may have, or after a closing line, and how long such a line may be.
_BARE_LINES, _LINES, _LENGTH = 12, 16, 100
#: Fewest lines of a block of addresses and numbers that is taken off: one telephone number may be the message.
_BLOCK = 2

#: A word of a device's or program's name; one with a capital, where it is no word that everybody knows.
_BRAND = r"(?-i:[A-Z0-9][\w.®™+]*)"
_DEVICE = (
    rf"(?:(?:{phrases.MY})\s*)?(?:(?:{phrases.DEVICES}|{_BRAND})[\s®™-]+){{0,5}}(?:{phrases.DEVICES})\b"
    rf"(?:\s{_BRAND}){{0,3}}"
)
_APP = (
    rf"(?:[^\s,:;!?<>]+\s){{0,5}}(?:{phrases.APPS})\b"
    rf"(?:\s(?:{phrases.APP_TAIL}|{phrases.DEVICES}|{_BRAND}))*"
)
_LINK = r"\s*(?:<[^<>]{0,300}>|https?://\S{1,300})?"
_SENT_FROM = re.compile(
    r"[\s*_\[(<-]{0,6}(?:"
    rf"(?:{phrases.SENT_FROM})\s*{_DEVICE}(?:\s(?:with|avec|met|mit|con|med|using|via)\s{_APP})?{_LINK}"
    rf"(?:\W*\Z|\W+(?:{phrases.EXCUSE}).{{0,120}}\Z)"
    rf"|(?:{phrases.SENT_FROM})\s*{_APP}{_LINK}\W*\Z"
    rf"|von {_DEVICE}(?:\smit\s{_APP})? (?:gesendet|verschickt|versendet)\W*\Z"
    rf"|(?:diese .{{2,30}} wurde )?(?:von {_DEVICE} )?mit {_APP}.{{0,30}} (?:gesendet|verschickt|versendet)\W*\Z"
    rf"|{phrases.GET_APP}(?:\b|(?=https)){_LINK}(?:\s(?:downloaden|herunterladen|beziehen|holen|herunter))?{_LINK}\W*\Z"
    r")",
    re.IGNORECASE,
)
_CLOSING = re.compile(rf"\W{{0,3}}(?:{phrases.CLOSING})(?:\W{{0,4}}|,\s.{{2,40}})\Z", re.IGNORECASE)
_POSTSCRIPT = re.compile(r"\W{0,3}(?:p\.?\s?s\.?|n\.?b\.?|ps)\b\W", re.IGNORECASE)

#: A line that says how to reach somebody, not what is the matter.
_CONTACT = re.compile(
    r"\W{0,4}(?:t[ée]l(?:[ée]phone|efoon|efon|[ée]fono|efono)?|phone|ph|office|direct|mob(?:ile?|iel|il)?|gsm"
    r"|cell(?:ulare)?"
    r"|handy|m[óo]vil|portable|port|fax|telefax|e-?mail|mail|web(?:site|seite)?|www|t|m|f|e|w|p|d|tlf"
    r"|tel[.])\W{0,3}[:.+(]"
    r"|\W{0,4}(?:https?://|www[.])\S+\W{0,4}\Z|\W{0,4}[^\s@<>]{1,64}@[^\s@<>]{1,255}\W{0,4}\Z"
    r"|\W{0,4}\+?[\d\s()./-]{8,24}\Z"
    r"|.{0,60}(?:tel|phone|fax|gsm|mobile|mob|tlf|m[óo]vil|handy)[.:\s]{1,3}[+(]?\d",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]{2,}")
#: A name on a line of its own: words with a capital, particles, a title; no digit.
_PARTICLES = "van|von|de|den|der|del|della|di|da|du|la|le|ter|ten|af|zu|y|e|und|et|en|and|&"
_NAME_WORD = rf"(?:[^\W\d_a-z][^\W\d_]*(?:[.'’-][^\W\d_]+){{0,3}}[.]?|{_PARTICLES})"
_NAME = re.compile(rf"(?=.{{0,12}}[^\W\d_a-z])\W{{0,3}}{_NAME_WORD}(?:[\s,]+{_NAME_WORD}){{0,6}}\W{{0,3}}\Z")
_SMALL = re.compile(r"(?<!\S)[^\W\d_A-Z]\w*")
#: How many words that begin small make a line of an address one of a sentence.
_SENTENCE = 5


def without(lines: list[str], *, names: frozenset[str] = frozenset()) -> list[str]:
    """The lines without the sender's signature; `names` are the words of his name, in lower case.

    What goes: all after `-- ` (RFC 3676 section 4.3), "Sent from my phone", and below a closing line and a name the
    block of numbers and addresses. The closing line and the name stay: they are words the sender chose.
    """
    return _without_contact(_without_delimited(_without_sent_from(lines), names), names)


def is_all(lines: list[str], *, names: frozenset[str] = frozenset()) -> bool:
    """Whether these lines, which something else says are a signature, hold nothing but one."""
    filled = [line for line in lines if line.strip()]
    if len(filled) > _LINES or any(len(line) > _LENGTH for line in filled):
        return False
    return any(_CONTACT.match(line) or _SENT_FROM.match(line) or (names and _is_name(line, names)) for line in filled)


def _without_delimited(lines: list[str], names: frozenset[str]) -> list[str]:
    """Cut at `-- `; at a bare `--` where it is the only one, words stand above it, and a signature below."""
    bare = [index for index, line in enumerate(lines) if line.rstrip() in ("--", "—", "–")]
    for index in bare:
        if lines[index] == "-- ":
            return lines[:index]
    if len(bare) == 1 and any(map(str.strip, lines[: bare[0]])) and _is_signature(lines[bare[0] + 1 :], names):
        return lines[: bare[0]]
    return lines


def _is_signature(lines: list[str], names: frozenset[str]) -> bool:
    """Whether these lines are few and short and begin as a signature does; quoted ones do not count."""
    own = [line for line in quotation.without(lines) if line.strip()]
    if len(own) > _BARE_LINES or any(len(line) > 2 * _LENGTH for line in own):
        return False
    if not own:
        return True
    first = own[0][: 2 * _LENGTH]
    return any(pattern.match(first) for pattern in (_NAME, _CONTACT, _SENT_FROM)) or _is_name(first, names)


def _without_sent_from(lines: list[str]) -> list[str]:
    """Drop the lines "Sent from my phone" at the end."""
    end = paragraphs.last_filled(lines)
    while end and 8 <= len(lines[end - 1]) <= 2 * _LENGTH and _SENT_FROM.match(lines[end - 1]):
        end = paragraphs.last_filled(lines[: end - 1])
    return lines[:end]


def _without_contact(lines: list[str], names: frozenset[str]) -> list[str]:
    """Cut the numbers and addresses at the end that stand below a closing line and a name, or the sender's name."""
    end = paragraphs.last_filled(lines)
    for index in range(end - 1, max(end - _LINES, -1), -1):
        line = lines[index]
        if len(line) > _LENGTH or paragraphs.is_quoted(line) or _POSTSCRIPT.match(line):
            return lines
        if line.strip() and _CLOSING.match(line):
            name = paragraphs.first_filled(lines, index + 1)
            if name < end and (_NAME.match(lines[name]) or _is_name(lines[name], names)):
                return lines[: name + 1] if _is_contact(lines[name + 1 : end]) else lines
            return lines
        if names and _is_name(line, names) and _stands_alone(lines, index):
            return lines[: index + 1] if _is_contact(lines[index + 1 : end]) else lines
    return lines


def _is_contact(lines: list[str]) -> bool:
    """Whether these lines are a block of titles, numbers and addresses, with nothing among them that is a sentence."""
    filled = [line for line in lines if line.strip()]
    if len(filled) < _BLOCK or not any(map(_CONTACT.match, filled)):
        return False
    return not any(
        line.rstrip().endswith(("?", "!", ";", ":")) or len(_SMALL.findall(line)) >= _SENTENCE for line in filled
    )


def _stands_alone(lines: list[str], index: int) -> bool:
    """Whether a line begins a paragraph below words that end a sentence, and announce nothing."""
    above = paragraphs.last_filled(lines[:index])
    return 0 < above < index and not lines[above - 1].rstrip().endswith((":", ","))


def _is_name(line: str, names: frozenset[str]) -> bool:
    """Whether a line is the sender's name and nothing more than a title."""
    words = {word.lower() for word in _WORD.findall(line)}
    return bool(names) and names <= words and len(words) <= len(names) + 4
