"""Lines of plain text under construction, out of the blocks and words of a page."""

from __future__ import annotations

_DEEPEST = 20


class Page:
    """The lines of a page so far, quoted ones with `> ` marks, and which of them belong to a signature."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        #: Indexes into `lines`.
        self.signed: set[int] = set()
        self._line: list[str] = []
        self._quotation = 0
        self._signature = 0
        self._line_quotation = 0
        self._line_signed = False
        #: Whether the line is one, though nothing stands on it but spaces that do not collapse.
        self._tall = False

    def text(self, text: str) -> None:
        """Add words to the line, white space between them as one space."""
        words = " ".join(text.split())
        if not words:
            if text and self._line and not self._line[-1].endswith(" "):
                self._line.append(" ")
            self._tall = self._tall or "\u00a0" in text
            return
        self._begin()
        if self._line and text[0].isspace() and not self._line[-1].endswith(" "):
            self._line.append(" ")
        self._line.append(words + (" " if text[-1].isspace() else ""))

    def verbatim(self, text: str) -> None:
        """Add preformatted text, white space and line breaks as they are."""
        first, *rest = text.replace("\r\n", "\n").split("\n")
        if first:
            self._begin()
            self._line.append(first)
        for piece in rest:
            self.line(force=True)
            if piece:
                self._begin()
                self._line.append(piece)

    def line(self, *, force: bool = False) -> None:
        """End the line; with `force` also an empty one."""
        if not self._line and not force and not self._tall:
            return
        depth = self._line_quotation if self._line else self._quotation
        if self._line_signed if self._line else self._signature:
            self.signed.add(len(self.lines))
        self.lines.append("> " * depth + "".join(self._line).rstrip())
        self._line, self._tall = [], False

    def paragraph(self) -> None:
        """End the line, and leave one empty below it."""
        self.line()
        if self.lines and self.lines[-1]:
            self.lines.append("")

    def quote(self, by: int) -> None:
        """Begin a quotation, or with -1 end one."""
        self.paragraph()
        self._quotation = min(max(self._quotation + by, 0), _DEEPEST)

    def sign(self, by: int) -> None:
        """Begin a signature, or with -1 end one."""
        if self._signature == 0 or by < 0:
            self.line()
        self._signature = max(self._signature + by, 0)

    def finish(self) -> None:
        """End the last line, and drop empty ones at the end."""
        self.line()
        while self.lines and not self.lines[-1]:
            self.lines.pop()

    def _begin(self) -> None:
        if not self._line:
            self._line_quotation = self._quotation
            self._line_signed = self._signature > 0
