"""The characters of a number as somebody wrote it: digits, a plus sign, and what is there only to be read."""

from __future__ import annotations

import unicodedata

from gateway.value import value

# Longer texts are not looked at; the longest real ones, with brackets and spaces, have about 30 characters.
_MOST_CHARACTERS = 64
_MOST_SHOWN = 40
_SEPARATORS = frozenset("-./() \t")
#: General categories that separate too: spaces, dashes, and the invisible direction marks that phones copy along.
_SEPARATING = frozenset({"Zs", "Pd", "Cf"})


@value
class Written:
    """What was written: `digits` (ASCII), whether `+` or `00` stood before them, and a form to quote (ASCII, short).

    `rubbish` says why it is no number at all; digits are then empty. A `00` is not among the digits.
    """

    shown: str
    digits: str = ""
    plus: bool = False
    rubbish: str = ""


def written(text: str) -> Written:
    """Read the characters of a text; decimal digits of any script count as digits."""
    if len(text) > _MOST_CHARACTERS:
        return Written(_shown(text), rubbish=f"is too long, with {len(text)} characters")
    if text.isascii() and text.removeprefix("+").isdigit():  # most are written so
        return _of_digits(text, text.removeprefix("+"), text.startswith("+"))
    digits: list[str] = []
    plus = False
    for character in text:
        value = unicodedata.decimal(character, None)
        if value is not None:
            digits.append(str(value))
        elif character in "+\uff0b":
            if digits or plus:
                return Written(_shown(text), rubbish="has a + that is not in front")
            plus = True
        elif character not in _SEPARATORS and unicodedata.category(character) not in _SEPARATING:
            return Written(_shown(text), rubbish=f"contains {_named(character)}")
    joined = "".join(digits)
    if not joined:
        return Written(_shown(text), rubbish="has no digits")
    return _of_digits(text if text.isascii() and text.isprintable() else "+" * plus + joined, joined, plus)


def _of_digits(shown: str, digits: str, plus: bool) -> Written:
    if not plus and digits.startswith("00"):
        plus, digits = True, digits[2:]
        if not digits:
            return Written(_shown(shown), rubbish="has no digits after 00")
    return Written(shown if len(shown) <= _MOST_SHOWN and " " not in shown else _shown(shown), digits, plus)


def _named(character: str) -> str:
    if character.isalpha():
        return "letters"
    return f"the character {character}" if "!" <= character <= "~" else "characters that have no place in one"


def _shown(text: str) -> str:
    """A text that can be quoted in a reply: one line of printable ASCII, cut short."""
    kept = "".join(c if " " <= c <= "~" else "?" for c in text[: _MOST_SHOWN + 1].strip())
    return kept if len(kept) <= _MOST_SHOWN else kept[: _MOST_SHOWN - 3] + "..."
