"""Octets to text as the sender meant them: wrong charset labels, encoded words, and characters nobody should see.

Nothing here raises for what a mail contains, and everything is linear in its input.
"""

from __future__ import annotations

import base64
import binascii
import codecs
from encodings.aliases import aliases
from functools import lru_cache

import regex

#: What mails call a charset, where Python knows it by another name or by none; Latin-1 and ASCII are read as WHATWG's
#: Encoding standard says, because octets 0x80 to 0x9F in them are Windows-1252 in every mail that has them.
_ALIASES = {
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "iso_8859-1": "cp1252",
    "latin-1": "cp1252",
    "latin1": "cp1252",
    "l1": "cp1252",
    "iso-8859-8-i": "iso8859_8",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "windows-874": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
    "big5": "cp950",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "x-mac-roman": "mac_roman",
    "macintosh": "mac_roman",
    "unicode-1-1-utf-7": "utf_7",
    "unicode-1-1-utf-8": "utf_8",
    "x-unicode-2-0-utf-8": "utf_8",
    "utf8mb4": "utf_8",
}

#: Codecs of Python that are no charsets of mails; some take quadratic time, one warns, one always raises.
_NO_CHARSETS = {"punycode", "idna", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"}

#: Labels that say nothing: sent by software which did not know either.
_SAYS_NOTHING = {"", "ascii", "us-ascii", "ansi_x3.4-1968", "iso646-us", "unknown", "unknown-8bit", "x-unknown"}

#: Only names Python knows are looked up: it remembers every unknown one for ever, and senders choose them.
_KNOWN = {
    *aliases,
    *aliases.values(),
    "cp856",
    "cp874",
    "cp875",
    "cp1006",
    "koi8_u",
    "koi8_t",
    "mac_arabic",
    "mac_croatian",
}
_KNOWN |= {"cp720", "mac_farsi", "mac_romanian", "utf_8_sig"}
_KNOWN -= _NO_CHARSETS
_NOT_NAME = regex.compile(r"[^a-z0-9]+")

_CONTROLS = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029), " ")
_BREAKS = dict.fromkeys((0x0B, 0x0C, 0x85, 0x2028, 0x2029), "\n")
_INVISIBLE = dict.fromkeys(
    (
        0xAD,  # soft hyphen
        0x034F,  # combining grapheme joiner, the filler of preheaders
        0x061C,
        0x180E,
        0x200B,  # zero width space
        *range(0x200E, 0x2010),  # direction marks
        *range(0x202A, 0x202F),  # direction overrides
        *range(0x2060, 0x2070),
        0xFEFF,
        *range(0xFFF9, 0xFFFC),
        *range(0xE0001, 0xE0020),  # language tag characters, but not those of flag sequences
    )
)
_ONE_LINE = {**_CONTROLS, **_INVISIBLE}
_MANY_LINES = {**_CONTROLS, **_BREAKS, **_INVISIBLE, 0x0A: "\n", 0x0D: "\n", 0xA0: " "}

#: Joiners are letters' business (Persian, Indic scripts, emoji); elsewhere they are filler.
_STRAY_JOINERS = regex.compile(
    r"(?<![\p{L}\p{M}\p{So}\p{Sk}\ufe0f\u2640\u2642])[\u200c\u200d]+|[\u200c\u200d]+(?![\p{L}\p{So}])"
)
#: More marks on one letter than any script writes; normalising thousands takes quadratic time.
_HEAPED_MARKS = regex.compile(r"(\p{M}{8})\p{M}+")
_SURROGATES = regex.compile(r"[\ud800-\udfff]")

_ENCODED_WORD = regex.compile(r"=\?([^?\s]{1,80})\?([bBqQ])\?([^?]*)\?=")
_LABEL = regex.compile(r"=\?([^?\s]+)\?(?=[bBqQ]\?)")
_NOT_BASE64 = regex.compile(rb"[^A-Za-z0-9+/]+")


@lru_cache(maxsize=512)
def codec(label: str) -> str | None:
    """The name of the Python codec a charset label means, or None where it means nothing usable."""
    wanted = label.strip(" \t\"'").lower()[:80]
    if wanted in _SAYS_NOTHING:
        return None
    name = _NOT_NAME.sub("_", _ALIASES.get(wanted, wanted)).strip("_")
    if name not in _KNOWN:
        return None
    name = codecs.lookup(name).name.lower()
    name = _ALIASES.get(name, name).replace("-", "_")
    if name in _NO_CHARSETS:
        return None
    try:
        "".encode(name)
    except (LookupError, UnicodeError):  # no text encoding: zlib, base64, rot13 …
        return None
    return name


def decode(octets: bytes, label: str = "") -> str:
    """The text of octets said to be in a charset; what the label gets wrong is read as it was most likely meant.

    UTF-8 that does not decode is Windows-1252, unless most of it does; no label, or an unknown one, is UTF-8 and else
    Windows-1252. Never raises; the result holds no surrogates.
    """
    name = codec(label)
    if name in (None, "utf_8", "cp1252") and octets.isascii():
        return octets.decode("ascii")
    if octets[:2] in (b"\xff\xfe", b"\xfe\xff"):
        name = name or "utf_16"
    elif name == "utf_16":  # no byte order mark: RFC 2781 section 4.3 says big-endian, Windows is not
        name = "utf_16_be" if octets[::2].count(0) >= octets[1::2].count(0) else "utf_16_le"
    if name not in (None, "utf_8"):
        try:
            return _SURROGATES.sub("\ufffd", octets.decode(name))
        except UnicodeError:
            pass
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    if name not in (None, "utf_8"):
        return _SURROGATES.sub("\ufffd", octets.decode(name, "replace"))
    damaged = octets.decode("utf-8-sig", "replace")
    broken = damaged.count("\ufffd")
    if sum(not character.isascii() for character in damaged) > 2 * broken:
        return damaged  # UTF-8 with a wound, not another charset
    return octets.decode("cp1252", "replace")


def decode_words(value: str) -> str:
    """A header's value with its encoded words (RFC 2047) decoded; octets above 127 come as surrogate escapes.

    Adjacent words are joined before their octets are decoded, so a character split between two is whole again. White
    space and control characters stay as they are: use `one_line` on the result.
    """
    if not value.isascii():
        value = decode(
            value.encode("utf-8", "surrogateescape") if _escaped(value) else value.encode("utf-8", "replace")
        )
    if "=?" not in value:
        return value
    pieces: list[str] = []
    pending: list[bytes] = []
    pending_label = ""
    end = 0
    for word in _ENCODED_WORD.finditer(value):
        between = value[end : word.start()]
        label = word[1].partition("*")[0].lower()
        if pending and (between.strip() or label != pending_label):
            pieces.append(decode(b"".join(pending), pending_label))
            pending = []
        if between.strip() or end == 0:
            pieces.append(between)
        pending.append(_octets(word[2], word[3]))
        pending_label, end = label, word.end()
    pieces.append(decode(b"".join(pending), pending_label))
    pieces.append(value[end:])
    return "".join(pieces)


def known_words(value: str) -> str:
    """The value with the charset of every encoded word one that Python knows: it remembers the others for ever."""
    if "=?" not in value:
        return value
    return _LABEL.sub(lambda found: f"=?{codec(found[1].partition('*')[0]) or 'utf-8'}?", value)


def one_line(text: str) -> str:
    """The text on one line: no control character, no line break of any kind, nothing invisible, single spaces."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split()) if "  " in text or text[:1] == " " or text[-1:] == " " else text
    return " ".join(_without_oddities(text.translate(_ONE_LINE)).split())


def many_lines(text: str) -> str:
    """The text with `\\n` for every kind of line break, and no other control or invisible character."""
    return _without_oddities(text.replace("\r\n", "\n").translate(_MANY_LINES))


def _without_oddities(text: str) -> str:
    if text.isascii():
        return text
    text = _SURROGATES.sub("\ufffd", text)
    return _HEAPED_MARKS.sub(r"\1", _STRAY_JOINERS.sub("", text))


def _escaped(value: str) -> bool:
    """Whether every surrogate in the value stands for an octet."""
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _octets(encoding: str, text: str) -> bytes:
    raw = text.encode("utf-8", "replace")
    if encoding in "qQ":
        return binascii.a2b_qp(raw.replace(b"\n", b" ").replace(b"\r", b" "), header=True)
    data = _NOT_BASE64.sub(b"", raw)
    data = data[: len(data) - (len(data) % 4 == 1)]
    return base64.b64decode(data + b"=" * (-len(data) % 4))
