"""What a reader of an HTML mail sees, and nothing else."""

from __future__ import annotations

import pytest

from filters import markup


@pytest.mark.parametrize(
    ("html", "seen"),
    [
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("one<br>two<br/><br>three", "one\ntwo\n\nthree"),
        ("<div>one</div><div>two</div>", "one\ntwo"),
        ("a <b>bold</b>  <i>word</i>, next\nline", "a bold word, next line"),
        ("un<b>believ</b>able", "unbelievable"),
        ("<ul><li>one<li>two</ul>", "- one\n- two"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("5 &lt; 6 &amp; 7 &eacute; &#8364; &#x41; &nosuch;", "5 < 6 & 7 é € A &nosuch;"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("<pre>a\n  b</pre>", "a\n  b"),
        ("<a href='http://x.example/?a>b'>link</a>", "link"),
        ('<img src="cid:1" alt="😀"> <img src=x alt="Logo of us">hi', "😀 hi"),
        (
            "<blockquote>old<br>older<blockquote>oldest</blockquote></blockquote>new",
            "> old\n> older\n\n> > oldest\n\nnew",
        ),
        ("", ""),
        ("<", "<"),
        ("<b", ""),
    ],
)
def test_the_text_is_what_is_seen(html: str, seen: str) -> None:
    assert markup.read(html).text == seen


@pytest.mark.parametrize(
    "html",
    [
        "<div style='display:none'>hidden</div>",
        '<div style="color:red; DISPLAY : none !important">hidden<p>hidden</div>',
        "<span hidden>hidden</span>",
        "<p style='visibility:hidden'>hidden</p>",
        "<div style='mso-hide:all;max-height:0px;overflow:hidden'>hidden</div>",
        "<span style='font-size:1px;color:#fff'>hidden</span>",
        "<span style='opacity:0'>hidden</span>",
        "<script>hidden</script>",
        "<SCRIPT>if (a < b) '</div>hidden'</SCRIPT >",
        "<style>p { content: 'hidden' }</style>",
        "<head><title>hidden</title></head>",
        "<!-- hidden -->",
        "<![if mso]><!--[if mso]>hidden<![endif]-->",
        "<textarea>hidden</textarea>",
        "<img src='http://tracker.example/pixel' alt='hidden' width=1 height=1>",
        "<div style='display:none'><div>hidden</div>hidden</div>",
        "<svg><text>hidden</text></svg>",
        "<script>hidden",
    ],
)
def test_what_is_hidden_is_not_said(html: str) -> None:
    assert markup.read(f"<p>seen</p>{html}").text == "seen"


def test_a_small_container_does_not_hide_what_sets_its_own_size() -> None:
    assert markup.read("<td style='font-size:0px'><div style='font-size:14px'>seen</div>gone</td>").text == "seen"


def test_an_element_that_is_never_closed_hides_only_what_it_may() -> None:
    assert markup.read("<div><p style='display:none'>hidden<p>seen</div>").text == "seen"
    assert markup.read("</div></p>seen</b>").text == "seen"
