"""Paragraphs of format=flowed text, put together again (RFC 3676)."""

from __future__ import annotations


def paragraphs(text: str, *, delete_space: bool) -> str:
    """The text with its soft line breaks taken out (RFC 3676 section 4); quoted paragraphs begin with `>` marks.

    `delete_space` is the DelSp parameter: the space that marks a soft break is no space between words then.
    """
    lines: list[str] = []
    pieces: list[str] = []
    flowing_depth = 0
    for line in text.split("\n"):
        content = line.lstrip(">")
        depth = len(line) - len(content)
        content = content.removeprefix(" ")
        if pieces and (depth != flowing_depth or content == "-- "):
            lines.append(_quoted(flowing_depth, "".join(pieces)))
            pieces = []
        flows = content.endswith(" ") and content != "-- "
        pieces.append(content[:-1] if flows and delete_space else content)
        flowing_depth = depth
        if not flows:
            lines.append(_quoted(depth, "".join(pieces)))
            pieces = []
    if pieces:
        lines.append(_quoted(flowing_depth, "".join(pieces)))
    return "\n".join(lines)


def _quoted(depth: int, text: str) -> str:
    return f"{'>' * depth} {text}" if depth else text
