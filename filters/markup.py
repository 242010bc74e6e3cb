"""The text a reader of an HTML mail sees: no markup, nothing hidden, quotations marked as in plain text.

A tokenizer of our own, because the standard library's takes quadratic time on hostile input and fails on some. Every
step here looks at each character a bounded number of times.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from dataclasses import dataclass

_NAME = re.compile(r"/?([a-zA-Z][^\s/>]{0,40})")
_ATTRIBUTE = re.compile(r"""([^\s"'>/=]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+))?""")
_TAIL = re.compile(r"""(?>[^"'>]+|"[^"]*"|'[^']*')*>""")
_HUGE_REFERENCE = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{8,});?")
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all|(?:^|[;\s])opacity\s*:\s*0?\.?0*\s*(?:[;!]|$)"
    r"|max-(?:height|width)\s*:\s*0(?:px|pt|em|%)?\s*(?:[;!]|$)|(?:^|[;\s])color\s*:\s*transparent"
    r"|text-indent\s*:\s*-\d{3}",
    re.IGNORECASE,
)
_FONT_SIZE = re.compile(r"font-size\s*:\s*([0-9.]{1,10})\s*(px|pt|em|rem|%)?|font-size\s*:\s*[a-z]", re.IGNORECASE)

#: Elements whose content is never text for a reader.
_UNSEEN = frozenset(
    {"head", "title", "template", "svg", "math", "object", "select", "audio", "video", "canvas", "noembed"}
)
#: Elements whose content is not markup: everything up to the end tag is skipped.
_RAW = frozenset({"script", "style", "textarea", "xmp", "iframe", "noscript", "noframes"})
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


@dataclass(slots=True)
class _Open:
    name: str
    hidden: bool
    tiny: bool


class _Page:
    """Lines under construction, with the depth of quotation each began in."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._line: list[str] = []
        self._quotation = 0
        self._line_quotation = 0

    def text(self, text: str) -> None:
        words = " ".join(text.split())
        if not words:
            if text and self._line and not self._line[-1].endswith(" "):
                self._line.append(" ")
            return
        if not self._line:
            self._line_quotation = self._quotation
        if self._line and text[0].isspace() and not self._line[-1].endswith(" "):
            self._line.append(" ")
        self._line.append(words + (" " if text[-1].isspace() else ""))

    def verbatim(self, text: str) -> None:
        first, *rest = text.replace("\r\n", "\n").split("\n")
        for piece, last in [(first, not rest), *((line, index == len(rest) - 1) for index, line in enumerate(rest))]:
            if piece:
                if not self._line:
                    self._line_quotation = self._quotation
                self._line.append(piece)
            if not last:
                self.line(force=True)

    def line(self, *, force: bool = False) -> None:
        if self._line or force:
            depth = self._line_quotation if self._line else self._quotation
            self.lines.append("> " * depth + "".join(self._line).strip())
            self._line = []

    def paragraph(self) -> None:
        self.line()
        if self.lines and self.lines[-1]:
            self.lines.append("")

    def quote(self, by: int) -> None:
        self.paragraph()
        self._quotation = min(max(self._quotation + by, 0), 20)


def text_of(markup: str) -> str:
    """The visible text of an HTML document or fragment, lines separated by `\\n`, quoted lines beginning with `> `.

    Never raises. Time and memory are linear in the length.
    """
    page, reader = _Page(), _Reader()
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
    page.line()
    while page.lines and not page.lines[-1]:
        page.lines.pop()
    return "\n".join(page.lines)


def _markup(page: _Page, reader: _Reader, markup: str, start: int) -> int:
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
        closing = re.compile(rf"</{tag}", re.IGNORECASE).search(markup, end)
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
        self._open: list[_Open] = []
        self._count: Counter[str] = Counter()
        self.patience = _PATIENCE

    @property
    def _seen(self) -> bool:
        return not self._open or not (self._open[-1].hidden or self._open[-1].tiny)

    def data(self, page: _Page, text: str) -> None:
        if not self._seen:
            return
        if "&" in text:
            text = html.unescape(_HUGE_REFERENCE.sub("\ufffd", text))
        if self._count["pre"]:
            page.verbatim(text)
        else:
            page.text(text)

    def start(self, page: _Page, name: str, attributes: str) -> None:
        if name in _SIBLINGS and self._open and self._open[-1].name == name:
            self.end(page, name)
        if name in _VOID:
            self._void(page, name, attributes)
            return
        hidden = self._open[-1].hidden if self._open else False
        tiny = self._open[-1].tiny if self._open else False
        lowered = attributes.lower()
        if "style" in lowered or "hidden" in lowered:
            values = _attributes(attributes)
            style = values.get("style", "")
            hidden = hidden or "hidden" in values or _HIDDEN.search(style) is not None
            size = _FONT_SIZE.search(style)
            if size is not None:
                tiny = _is_tiny(size)
        self._open.append(_Open(name, hidden or name in _UNSEEN, tiny))
        self._count[name] += 1
        if self._seen:
            _begin(page, name)

    def end(self, page: _Page, name: str) -> None:
        if not self._count[name]:
            return
        while self._open:
            last = self._open.pop()
            self._count[last.name] -= 1
            if not (last.hidden or last.tiny):
                _finish(page, last.name)
            if last.name == name:
                return

    def _void(self, page: _Page, name: str, attributes: str) -> None:
        if not self._seen:
            return
        if name == "br":
            page.line(force=True)
        elif name == "hr":
            page.line()
        elif name == "img":
            described = html.unescape(_HUGE_REFERENCE.sub("", _attributes(attributes).get("alt", "")[:16]))
            if described and not described.isascii() and not any(mark.isalnum() for mark in described):
                page.text(described)  # an emoji that the sender's program drew


def _begin(page: _Page, name: str) -> None:
    if name == "blockquote":
        page.quote(1)
    elif name in _PARAGRAPH:
        page.paragraph()
    elif name in _LINE:
        page.line()
        if name == "li":
            page.text("- ")
    elif name in ("td", "th"):
        page.text(" ")


def _finish(page: _Page, name: str) -> None:
    if name == "blockquote":
        page.quote(-1)
    elif name in _PARAGRAPH:
        page.paragraph()
    elif name in _LINE:
        page.line()


def _attributes(text: str) -> dict[str, str]:
    """The attributes of a tag, names in lower case, the first of each name."""
    found: dict[str, str] = {}
    for attribute in _ATTRIBUTE.finditer(text[:_TAG_WINDOW]):
        value = attribute[2] or ""
        found.setdefault(attribute[1].lower(), value[1:-1] if value[:1] in ("'", '"') else value)
    return found


def _is_tiny(size: re.Match[str]) -> bool:
    if size[1] is None:
        return False
    try:
        number = float(size[1])
    except ValueError:
        return False
    unit = (size[2] or "px").lower()
    return number <= 1 if unit in ("px", "pt") else number == 0
