"""The text a reader of an HTML mail sees: no markup, nothing hidden, quotations marked as in plain text.

A tokenizer of our own, because the standard library's takes quadratic time on hostile input and fails on some. Every
step here looks at each character a bounded number of times.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from dataclasses import dataclass

from filters import styles
from filters.page import Page

_NAME = re.compile(r"/?([a-zA-Z][^\s/>]{0,40})")
_ATTRIBUTE = re.compile(r"""([^\s"'>/=]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+))?""")
_TAIL = re.compile(r"""(?>[^"'>]+|"[^"]*"|'[^']*')*>""")
_HUGE_REFERENCE = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{8,});?")
#: Elements that hold a signature, by id, class or the like, in the pages of well-known programs.
_SIGNATURE = re.compile(r"(?:\A|[\s_-])(?:[a-z]*mail)?signature(?:\Z|[\s_-])", re.IGNORECASE)
_BORDER = re.compile(r"border(?:-left)?\s*:\s*(?!none|0|medium none)", re.IGNORECASE)
_INDENT = re.compile(r"margin|padding|border", re.IGNORECASE)
#: Paragraphs without a gap between them: every line is one, in what Word and others write.
_NO_MARGIN = re.compile(r"margin(?:-bottom)?\s*:\s*0(?![.\d])", re.IGNORECASE)
_NO_ATTRIBUTES: dict[str, str] = {}
_NAMING = ("id", "class", "data-smartmail", "data-marker")

#: Elements whose content is never text for a reader.
_UNSEEN = frozenset(
    {"head", "title", "template", "svg", "math", "object", "select", "audio", "video", "canvas", "noembed"}
)
#: Elements whose content is not markup: everything up to the end tag is skipped.
_RAW = frozenset({"script", "style", "textarea", "xmp", "iframe", "noscript", "noframes"})
_CLOSING = {tag: re.compile(rf"</{tag}", re.IGNORECASE) for tag in _RAW}
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
_PARAGRAPH = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "blockquote", "pre"})
_LINE = frozenset(
    {"address", "article", "aside", "body", "center", "dd", "details", "div", "dt", "fieldset", "figcaption", "figure"}
    | {"footer", "form", "header", "hr", "html", "li", "main", "nav", "section", "summary", "tbody", "thead", "tr"}
)
#: Elements that end an open one of the same name.
_SIBLINGS = frozenset({"p", "li", "td", "th", "tr", "dd", "dt", "option"})
#: The longest tag whose quotation marks are honoured; beyond (inline images) the next `>` ends it.
_TAG_WINDOW = 4096
#: How many tags with quotation marks that do not end are looked at so closely before the page is taken to be hostile.
_PATIENCE = 50


@dataclass(frozen=True, slots=True)
class Seen:
    """What a reader sees of a page: all of it, and `written`, without what the page says is the sender's signature."""

    text: str
    written: str


@dataclass(slots=True)
class _Open:
    """An open element: what is known of how its text looks, and what it changed that has to be changed back."""

    name: str
    hidden: bool
    tiny: bool
    colour: styles.Colour
    ground: styles.Colour | None
    seen: bool
    tight: bool = False
    quotes: bool = False
    signs: bool = False
    number: int = 0


def read(markup: str) -> Seen:
    """The visible text of an HTML document or fragment, lines separated by `\\n`, quoted lines beginning with `> `.

    Never raises. Time and memory are linear in the length.
    """
    page, reader = Page(), _Reader()
    position, length = 0, len(markup)
    while position < length:
        start = markup.find("<", position)
        if start < 0:
            start = length
        if start > position:
            reader.data(page, markup[position:start])
        if start == length:
            break
        position = _markup(page, reader, markup, start)
    page.finish()
    text = "\n".join(page.lines)
    if not page.signed:
        return Seen(text, text)
    return Seen(text, "\n".join(line for index, line in enumerate(page.lines) if index not in page.signed))


def _markup(page: Page, reader: _Reader, markup: str, start: int) -> int:
    """Handle what begins with the `<` at `start`; the position after it."""
    if markup.startswith("<!--", start):
        end = markup.find("-->", start + 4)
        return len(markup) if end < 0 else end + 3
    if markup.startswith(("<!", "<?"), start):
        end = markup.find(">", start)
        return len(markup) if end < 0 else end + 1
    name = _NAME.match(markup, start + 1)
    if name is None:
        reader.data(page, "<")
        return start + 1
    end = _end_of_tag(reader, markup, name.end())
    tag = name[1].lower()
    if markup[start + 1] == "/":
        reader.end(page, tag)
        return end
    if tag in _RAW:
        closing = _CLOSING[tag].search(markup, end)
        if tag == "style":
            reader.sheet.add(markup[end : closing.start() if closing else len(markup)])
        return _end_of_tag(reader, markup, closing.end()) if closing else len(markup)
    reader.start(page, tag, markup[name.end() : end])
    return end


def _end_of_tag(reader: _Reader, markup: str, position: int) -> int:
    """The position after the `>` that ends a tag, looking past quoted attribute values while they make sense."""
    if reader.patience:
        limit = min(len(markup), position + _TAG_WINDOW)
        tail = _TAIL.match(markup, position, limit)
        if tail is not None:
            return tail.end()
        reader.patience -= 1
    end = markup.find(">", position)
    return len(markup) if end < 0 else end + 1


class _Reader:
    """Which elements are open, and whether what they contain is seen."""

    def __init__(self) -> None:
        self._open = [_Open("", False, False, styles.BLACK, styles.WHITE, seen=True)]
        self._count: Counter[str] = Counter()
        self.sheet = styles.Sheet()
        self.patience = _PATIENCE

    def data(self, page: Page, text: str) -> None:
        """Text between tags."""
        if not self._open[-1].seen:
            return
        if "&" in text:
            text = html.unescape(_HUGE_REFERENCE.sub("\ufffd", text))
        if self._count["pre"]:
            page.verbatim(text)
        else:
            page.text(text)

    def start(self, page: Page, name: str, attributes: str) -> None:
        """A start tag."""
        if name in _SIBLINGS and self._open[-1].name == name:
            self.end(page, name)
        if name in _VOID:
            self._void(page, name, attributes)
            return
        outer = self._open[-1]
        hidden = outer.hidden or name in _UNSEEN
        element = _Open(name, hidden, outer.tiny, outer.colour, outer.ground, outer.seen and not hidden)
        values = _attributes(attributes) if "=" in attributes or "hidden" in attributes.lower() else _NO_ATTRIBUTES
        if values or self.sheet.rules:
            self._dress(element, name, values)
        elif name == "blockquote":
            element.quotes = True
        self._open.append(element)
        self._count[name] += 1
        if element.signs:
            page.sign(1)
        if element.seen:
            self._begin(page, element)

    def _dress(self, element: _Open, name: str, values: dict[str, str]) -> None:
        """How the element looks and what it is, by its attributes and by the style sheets."""
        style = values.get("style", "")
        look = styles.declared(style) if style else styles.PLAIN
        if self.sheet.rules:
            look = look.over(self.sheet.look(name, values.get("class", ""), values.get("id", "")))
        element.hidden = element.hidden or "hidden" in values or bool(look.hidden)
        if look.tiny is not None:
            element.tiny = look.tiny
        element.colour = look.colour or _attribute_colour(values, "color", "text") or element.colour
        if look.covered or "background" in values or self.sheet.obscure:
            element.ground = None
        elif look.background:
            element.ground = look.background
        elif "bgcolor" in values:
            element.ground = styles.colour(values["bgcolor"])
        element.seen = not (element.hidden or element.tiny) and (
            element.ground is None or not styles.alike(element.colour, element.ground)
        )
        element.signs = element.seen and any(_SIGNATURE.search(values[key]) for key in _NAMING if key in values)
        if name == "p":
            element.tight = "Mso" in values.get("class", "") or _NO_MARGIN.search(style) is not None
        elif name in ("blockquote", "div"):
            element.quotes = _is_quotation(name, values)

    def end(self, page: Page, name: str) -> None:
        """An end tag; what was opened since its start tag ends with it."""
        if not self._count[name]:
            return
        while len(self._open) > 1:
            last = self._open.pop()
            self._count[last.name] -= 1
            if last.seen:
                _finish(page, last)
            if last.signs:
                page.sign(-1)
            if last.name == name:
                return

    def _begin(self, page: Page, element: _Open) -> None:
        """The line breaks and marks with which an element that is seen begins."""
        if element.quotes:
            page.quote(1)
        elif element.name in _PARAGRAPH and not element.tight:
            page.paragraph()
        elif element.name in _LINE or element.tight:
            page.line()
            if element.name == "li":
                page.text(self._item())
        elif element.name in ("td", "th"):
            page.text(" ")

    def _item(self) -> str:
        """The mark of a list's next item."""
        holder = next((one for one in reversed(self._open[-4:]) if one.name in ("ol", "ul")), None)
        if holder is None or holder.name == "ul":
            return "- "
        holder.number += 1
        return f"{holder.number}. "

    def _void(self, page: Page, name: str, attributes: str) -> None:
        """An element without content."""
        if not self._open[-1].seen:
            return
        if name == "br":
            page.line(force=True)
        elif name == "hr":
            page.line()
        elif name == "img":
            described = html.unescape(_HUGE_REFERENCE.sub("", _attributes(attributes).get("alt", "")[:16]))
            if described and not described.isascii() and not any(mark.isalnum() for mark in described):
                page.text(described)  # an emoji that the sender's program drew


def _finish(page: Page, element: _Open) -> None:
    if element.quotes:
        page.quote(-1)
    elif element.name in _PARAGRAPH and not element.tight:
        page.paragraph()
    elif element.name in _LINE or element.tight:
        page.line()


def _is_quotation(name: str, values: dict[str, str]) -> bool:
    """Whether an element quotes: a `blockquote`, unless an editor used it to indent; the `div` some programs take."""
    style = values.get("style", "")
    if name == "div":
        return values.get("name", "").lower() == "quote" and "border-left" in style
    named = f"{values.get('class', '')} {values.get('id', '')}".lower()
    if "cite" in values or values.get("type", "").lower() == "cite" or "quote" in named or "cite" in named:
        return True
    return _BORDER.search(style) is not None or not _INDENT.search(style)


def _attribute_colour(values: dict[str, str], *names: str) -> styles.Colour | None:
    return next((found for name in names if name in values and (found := styles.colour(values[name]))), None)


def _attributes(text: str) -> dict[str, str]:
    """The attributes of a tag, names in lower case, the first of each name."""
    found: dict[str, str] = {}
    for attribute in _ATTRIBUTE.finditer(text[:_TAG_WINDOW]):
        value = attribute[2] or ""
        found.setdefault(attribute[1].lower(), value[1:-1] if value[:1] in ("'", '"') else value)
    return found
