"""What cascading style sheets say about whether text is seen: enough of CSS for the tricks of mails, and no more.

Understood are inline styles, and rules of a `<style>` element for a tag, a class, an id, or a tag with a class. Where a
rule that is not understood may matter, text counts as seen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache

Colour = tuple[int, int, int]

#: How much of a style sheet is read (characters), and how many of its rules are kept.
_SHEET, _RULES = 128 * 1024, 2000
#: How near two colours are that no eye tells apart: the sum of the differences of red, green and blue.
_ALIKE = 24

_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_DECLARATION = re.compile(r"([a-zA-Z-]{1,40})\s*:\s*([^;]*)")
_SELECTOR = re.compile(r"\s*([a-zA-Z][a-zA-Z0-9]{0,20})?([.#][\w-]{1,80})?\s*\Z")
_LENGTH = re.compile(r"(-?[0-9]*[.]?[0-9]+)\s*(px|pt|em|rem|ex|%|vw|vh|mm|cm|in)?\s*\Z")
_RGB = re.compile(r"rgba?\(\s*(\d{1,3})\s*[, ]\s*(\d{1,3})\s*[, ]\s*(\d{1,3})\s*(?:[,/]\s*([\d.]{1,8}%?)\s*)?\)\Z")
_HEX = re.compile(r"#?([0-9a-f]{3}|[0-9a-f]{6})\Z")
_NAMES: dict[str, Colour] = {
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "snow": (255, 250, 250),
    "ghostwhite": (248, 248, 255),
    "whitesmoke": (245, 245, 245),
    "ivory": (255, 255, 240),
    "silver": (192, 192, 192),
    "lightgray": (211, 211, 211),
    "lightgrey": (211, 211, 211),
    "gainsboro": (220, 220, 220),
    "gray": (128, 128, 128),
    "grey": (128, 128, 128),
    "red": (255, 0, 0),
    "green": (0, 128, 0),
    "blue": (0, 0, 255),
    "navy": (0, 0, 128),
    "yellow": (255, 255, 0),
    "orange": (255, 165, 0),
}
WHITE, BLACK = _NAMES["white"], _NAMES["black"]


@dataclass(frozen=True, slots=True)
class Look:
    """What a style says of an element; None where it says nothing.

    `hidden`: not shown at all, nor what is in it. `tiny`: too small to see, unless something inside is larger again.
    `colour`, `background`: as far as they can be told; `covered` is a background that cannot.
    """

    hidden: bool | None = None
    tiny: bool | None = None
    colour: Colour | None = None
    background: Colour | None = None
    covered: bool = False

    def over(self, under: Look) -> Look:
        """This look laid over another: what this one says, counts."""
        return Look(
            under.hidden if self.hidden is None else self.hidden,
            under.tiny if self.tiny is None else self.tiny,
            self.colour or under.colour,
            self.background or under.background,
            self.covered or (under.covered and self.background is None),
        )


PLAIN = Look()


@dataclass(slots=True)
class Sheet:
    """The rules of a mail's style sheets, by tag, `.class`, `#id` and `tag.class`."""

    rules: dict[str, Look] = field(default_factory=dict)
    #: Whether some background is set by a rule that is not understood.
    obscure: bool = False

    def add(self, text: str) -> None:
        """Read a style sheet into the rules; what stands in `@media` and its like is for other readers."""
        for selectors, declarations in _rules(_COMMENT.sub(" ", text[:_SHEET])):
            look = declared(declarations)
            if look == PLAIN:
                continue
            for selector in selectors.split(","):
                found = _SELECTOR.match(selector)
                if found is None or len(self.rules) >= _RULES:
                    self.obscure = self.obscure or look.background is not None or look.covered
                elif found[1] or found[2]:
                    key = (found[1] or "").lower() + (found[2] or "")
                    self.rules[key] = look.over(self.rules.get(key, PLAIN))

    def look(self, tag: str, classes: str, identity: str) -> Look:
        """What the rules say of an element."""
        look = self.rules.get(tag, PLAIN)
        for name in classes.split()[:20]:
            for key in (f".{name}", f"{tag}.{name}"):
                if key in self.rules:
                    look = self.rules[key].over(look)
        if identity:
            for key in (f"#{identity}", f"{tag}#{identity}"):
                if key in self.rules:
                    look = self.rules[key].over(look)
        return look


def _rules(text: str) -> list[tuple[str, str]]:
    """The selectors and declarations of the rules of a sheet, those inside of at-rules left out."""
    rules: list[tuple[str, str]] = []
    depth = start = 0
    selectors = ""
    for brace in re.finditer(r"[{};]", text):
        mark = brace[0]
        if mark == "{":
            if depth == 0:
                selectors = text[start : brace.start()].strip()
            depth += 1
            start = brace.end() if depth == 1 else start
        elif mark == "}" and depth:
            depth -= 1
            if depth == 0:
                if not selectors.startswith("@"):
                    rules.append((selectors, text[start : brace.start()]))
                start = brace.end()
        elif mark == ";" and depth == 0:
            start = brace.end()  # @import, @charset
    return rules


@lru_cache(maxsize=1024)
def declared(style: str) -> Look:
    """What the declarations of a style attribute or a rule say."""
    look = PLAIN
    for found in _DECLARATION.finditer(style[:4096]):
        value = found[2].lower().replace("!important", "").strip()
        look = _with(look, found[1].lower(), value)
    return look


def _with(look: Look, name: str, value: str) -> Look:
    """The look with one declaration more."""
    if name == "display":
        return replace(look, hidden=True) if value == "none" else replace(look, hidden=look.hidden or False)
    if name == "visibility":
        return replace(look, hidden=True) if value in ("hidden", "collapse") else look
    if name == "opacity":
        return replace(look, hidden=True) if _is_zero(value) else look
    if name in ("max-height", "max-width"):
        return replace(look, hidden=True) if _is_zero(value) else look
    if name == "text-indent":
        return replace(look, hidden=True) if _number(value) <= -100 else look
    if name in ("left", "top", "margin-left"):
        return replace(look, hidden=True) if _number(value) <= -999 else look
    if name == "font-size":
        return replace(look, tiny=_is_tiny(value))
    if name == "font" and value.startswith(("0 ", "0px", "0/")):
        return replace(look, tiny=True)
    if name == "color":
        return replace(look, hidden=True) if value == "transparent" else replace(look, colour=colour(value))
    if name in ("background", "background-color", "background-image"):
        return _on(look, value)
    return look


def _on(look: Look, value: str) -> Look:
    if "url(" in value or "gradient" in value:
        return replace(look, covered=True)
    if value in ("none", "transparent", "inherit", "initial", ""):
        return look
    behind = colour(value) or colour(value.split()[0])
    return replace(look, background=behind) if behind else replace(look, covered=True)


def colour(value: str) -> Colour | None:
    """The colour a value names, or None where it names none that is known here."""
    value = value.strip().lower()
    if value in _NAMES:
        return _NAMES[value]
    digits = _HEX.match(value)
    if digits:
        code = digits[1] if len(digits[1]) == 6 else "".join(digit * 2 for digit in digits[1])
        return int(code[:2], 16), int(code[2:4], 16), int(code[4:], 16)
    parts = _RGB.match(value)
    if parts is None or (parts[4] is not None and _number(parts[4]) < 1):
        return None
    return min(int(parts[1]), 255), min(int(parts[2]), 255), min(int(parts[3]), 255)


def alike(one: Colour, other: Colour) -> bool:
    """Whether text of one colour cannot be told from a ground of the other."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) <= _ALIKE


def _is_zero(value: str) -> bool:
    return _LENGTH.match(value) is not None and _number(value) == 0


def _number(value: str) -> float:
    found = _LENGTH.match(value[:40])
    return float(found[1]) if found else 1.0


def _is_tiny(value: str) -> bool:
    found = _LENGTH.match(value[:40])
    if found is None:
        return False
    return float(found[1]) <= 1 if found[2] in (None, "px", "pt") else float(found[1]) == 0
