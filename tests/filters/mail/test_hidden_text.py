"""Tricks with which senders hide text from readers, and pages that only look like them."""

from __future__ import annotations

import pytest

from filters import markup, styles

HIDDEN = {
    "white on white": "<span style='color:#ffffff'>x</span>",
    "nearly white on white": "<span style='color:#FEFEFE'>x</span>",
    "white in words": "<font color='white'>x</font>",
    "white as numbers": "<p style='color: rgb(255, 255, 255)'>x</p>",
    "dark on dark": "<div style='background-color:#222222'><span style='color:#222'>x</span></div>",
    "dark on a dark cell": "<table><tr><td bgcolor='#000080' style='color:navy'>x</td></tr></table>",
    "transparent": "<span style='color:transparent'>x</span>",
    "no height": "<div style='max-height:0;overflow:hidden;mso-hide:all'>x</div>",
    "no size": "<div style='font-size:0.0px'>x</div>",
    "no opacity": "<div style='opacity:0.0!important'>x</div>",
    "out of the page": "<div style='position:absolute;left:-9999px'>x</div>",
    "indented out of the page": "<div style='text-indent:-9999px'>x</div>",
    "not displayed, by class": "<style>.preheader, .b { display: none !important; }</style><div class='a"
    " preheader'>x</div>",
    "not displayed, by id": "<style>#p{display:none}</style><div id=p>x</div>",
    "not displayed, by tag and class": "<style>/* c */ span.p{visibility:hidden}</style><span class=p>x</span>",
    "not displayed, sheet in the head": "<html><head><style>.p{display:none}</style></head><body><p class=p>x</p>"
    "</body></html>",
    "filled with what has no width": "<div style='display:none'>x&zwnj;&nbsp;&#847;&zwnj;</div>",
}

SEEN = {
    "white on a dark ground": "<div style='background:#003366'><span style='color:#fff'>x</span></div>",
    "white on a dark cell": "<td bgcolor=#333333><font color=white>x</font></td>",
    "white on a cell of a colour nobody knows": "<td bgcolor=rebeccapurple><font color=white>x</font></td>",
    "white on a picture": "<td background='a.jpg'><font color=white>x</font></td>",
    "white on a picture, by style": "<td style='background-image:url(a.jpg)'><font color=white>x</font></td>",
    "white on what a sheet colours": "<style>.d{background:#123456}</style><td class=d style='color:white'>x</td>",
    "white where a rule is not understood": "<style>td > .d b{background:#123456}</style><td class=d"
    " style='color:white'>x</td>",
    "dark again inside white": "<div style='color:white'><span style='color:#000'>x</span></div>",
    "larger again inside none": "<div style='font-size:0'><span style='font-size:12px'>x</span></div>",
    "shown by its own style": "<style>.p{display:none}</style><p class=p style='display:block'>x</p>",
    "hidden for telephones only": "<style>@media (max-width:600px){.p{display:none}}</style><p class=p>x</p>",
    "pale": "<p style='color:#cccccc'>x</p>",
    "half opaque": "<p style='opacity:0.5'>x</p>",
    "a width of nothing but a limit": "<p style='max-width:600px'>x</p>",
    "hidden from one program": "<p style='mso-hide:all'>x</p>",
    "a margin below nothing": "<p style='margin-left:-10px'>x</p>",
}


@pytest.mark.parametrize("trick", HIDDEN)
def test_hidden_text_is_gone(trick: str) -> None:
    assert markup.read(f"<p>seen</p>{HIDDEN[trick]}<p>too</p>").text.split() == ["seen", "too"]


@pytest.mark.parametrize("page", SEEN)
def test_text_that_is_seen_stays(page: str) -> None:
    assert markup.read(f"<table><tr>{SEEN[page]}</tr></table>").text.strip() == "x"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<ol><li>a</li><li>b<ul><li>c</li></ul></li><li>d</li></ol>", "1. a\n2. b\n\n- c\n\n3. d"),
        ("<p class=MsoNormal>a</p><p class=MsoNormal>&nbsp;</p><p class=MsoNormal>b</p>", "a\n\nb"),
        ("<p style='margin:0'>a</p><p style='margin:0 0 1em'>b</p>", "a\nb"),
        ("<blockquote style='margin:0 0 0 40px;border:none;padding:0px'><div>mine</div></blockquote>", "mine"),
        ("<blockquote>theirs</blockquote>", "> theirs"),
        ("<blockquote type=cite style='border:none'>theirs</blockquote>", "> theirs"),
        ("<div name=quote style='border-left:2px solid #C3D9E5'>theirs</div>", "> theirs"),
    ],
)
def test_a_page_keeps_its_shape(html: str, text: str) -> None:
    assert markup.read(html).text == text


def test_what_a_page_calls_a_signature_is_told_apart() -> None:
    seen = markup.read("<div>words</div><div id=Signature>Ann<br>02 555</div><blockquote>theirs</blockquote>")
    assert seen.text.split() == ["words", "Ann", "02", "555", ">", "theirs"]
    assert seen.written.split() == ["words", ">", "theirs"]


@pytest.mark.parametrize(
    ("written", "colour"),
    [
        ("#FFF", (255, 255, 255)),
        ("ffffff", (255, 255, 255)),
        ("rgb(1,2,3)", (1, 2, 3)),
        ("RGBA(1, 2, 3, 1)", (1, 2, 3)),
        ("rgba(1,2,3,0.2)", None),
        ("inherit", None),
        ("#ff", None),
        ("rgb(999,0,0)", (255, 0, 0)),
    ],
)
def test_colours_are_known_or_not(written: str, colour: tuple[int, int, int] | None) -> None:
    assert styles.colour(written) == colour
