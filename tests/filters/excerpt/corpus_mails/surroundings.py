"""What stands around own words beside an answered mail: signatures, disclaimers, warnings, footers, forwarded mails."""

from __future__ import annotations

import html as escaping
from collections.abc import Iterator

from corpus_mails.building import Draft, breaks, divs, marked, paragraphs
from corpus_mails.words import Words

#: A draft, and the words that are its sender's own.
Expected = tuple[str, Draft, str]


def signed(words: Words) -> Iterator[Expected]:
    """Signatures of every kind below the words."""
    own = words["own"][0]
    contact = "\n".join(words["contact"])
    closed = f"{own}\n\n{words['closing']}\n{words.me}"
    yield "dashes", Draft("s", f"{own}\n\n-- \n{words.me}\n{contact}\n", answer=False), own
    yield "bare dashes", Draft("s", f"{own}\n\n--\n{words.me}\n{contact}\n", answer=False), own
    yield "closing and contact", Draft("s", f"{closed}\n{contact}\n", answer=False), closed
    yield "closing, gap, contact", Draft("s", f"{closed}\n\n{contact}\n", answer=False), closed
    yield "closing only", Draft("s", f"{closed}\n", answer=False), closed
    yield "name and contact", Draft("s", f"{own}\n\n{words.me}\n{contact}\n", answer=False), f"{own}\n\n{words.me}"
    for number, line in enumerate(words["sent_from"]):
        yield f"telephone {number}", Draft("s", f"{own}\n\n{line}\n", answer=False), own
    yield (
        "telephone and quotation",
        Draft("s", f"{own}\n\n{words.pick('sent_from', 0)}\n\n{words.wrote('gmail')}\n\n{marked(words['quoted'])}\n"),
        own,
    )
    yield "dashes and telephone", Draft("s", f"{own}\n-- \n{words['k9_signature']}\n", answer=False), own
    html = f"<html><body>{paragraphs(closed + chr(10) + contact)}</body></html>"
    yield "Word, closing and contact", Draft("s", html=html, answer=False), closed


def disclaimed(words: Words) -> Iterator[Expected]:
    """Disclaimers and the like, by themselves, wrapped, before and after quotations."""
    own = words["own"][1]
    first, second = words["disclaimer"]
    rule = "_" * 47
    footer = "\n".join(words["list_footer"])
    yield "disclaimer", Draft("d", f"{own}\n\n{first}\n", answer=False), own
    yield "second disclaimer", Draft("d", f"{own}\n\n{'*' * 60}\n{second}\n{'*' * 60}\n", answer=False), own
    yield "both", Draft("d", f"{own}\n\n{first}\n\n{second}\n\n{words['environment']}\n", answer=False), own
    yield "environment", Draft("d", f"{own}\n\n{words['environment']}\n", answer=False), own
    yield "scanned", Draft("d", f"{own}\n\n{words['scanned']}\n", answer=False), own
    yield "warning", Draft("d", f"{words['warning']}\n\n{own}\n", answer=False), own
    html = (
        f'<div style="background-color:#FFEB9C;border:1px solid #9C6500;padding:2pt"><b>{words["warning"]}</b></div>'
        "<br>"
        f"{divs(own)}<p>{first}</p><hr><p style='font-size:8pt;color:gray'>{second}</p>"
    )
    yield "warning and disclaimers, HTML", Draft("d", html=html, answer=False), own
    yield "list footer", Draft("d", f"{own}\n{rule}\n{footer}\n", fields={"List-Id": "<a.example>"}), own
    yield (
        "after a quotation",
        Draft(
            "d",
            f"{own}\n\n{words.wrote('thunderbird')}\n{marked(words['quoted'])}\n\n{first}\n{words['environment']}\n",
        ),
        own,
    )
    yield (
        "before a quotation",
        Draft("d", f"{own}\n\n{first}\n\n" + "\n".join(words.fields()) + f"\n\n{words['quoted']}\n\n{second}\n"),
        own,
    )


def forwarded(words: Words) -> Iterator[Expected]:
    """Mails passed on, with a comment and without."""
    comment = words["own"][0]
    body = words["quoted"]
    names = words["fields"]
    colon = words["colon"]
    gmail = (
        f"---------- Forwarded message ---------\n{names['from']}{colon} {words.other} <{words.other_address}>\n"
        f"{words['date_name']}{colon} {words['short_date']}\nSubject: {words['subject']}\nTo: "
        f"<{words.my_address}>\n\n\n{body}\n"
    )
    thunderbird = (
        f"-------- {words['forwarded']} --------\n{names['subject']}{colon}"
        f" \t{words['subject']}\n{words['date_name']}{colon} "
        f"\tTue, 14 Jul 2026 10:05:11 +0200\n{names['from']}{colon} \t{words.other} <{words.other_address}>\n"
        f"{names['to']}{colon} \t{words.my_address}\n\n\n\n{body}\n"
    )
    apple = f"{words['begin_forwarded']}\n\n" + marked("\n".join(words.fields()) + f"\n\n{body}") + "\n"
    outlook = "\n".join(words.fields()) + f"\n\n{body}\n"
    for program, text in {"gmail": gmail, "thunderbird": thunderbird, "apple": apple, "outlook": outlook}.items():
        yield f"{program}, comment", Draft(program, f"{comment}\n\n{text}", answer=False), comment
        yield f"{program}, no comment", Draft(program, text, answer=False), body
    html = (
        f"<html><body><p>{breaks(comment)}</p><div class='moz-forward-container'><br><br>--------"
        f" {words['forwarded']} --------"
        "<table class='moz-email-headers-table' cellpadding='0' cellspacing='0' border='0'><tbody>"
        f"<tr><th align='RIGHT'>{names['subject']}{colon} </th><td>{words['subject']}</td></tr><tr>"
        f"<th>{words['date_name']}"
        f"{colon} </th><td>Tue, 14 Jul 2026 10:05:11 +0200</td></tr><tr><th>{names['from']}{colon} </th><td>"
        f"{escaping.escape(words.other)} &lt;{words.other_address}&gt;</td></tr><tr><th>{names['to']}{colon} </th><td>"
        f"{words.my_address}</td></tr></tbody></table><br><br>{breaks(body)}</div></body></html>"
    )
    yield "thunderbird, HTML", Draft("thunderbird", html=html, answer=False), comment


def whole(words: Words) -> Iterator[Expected]:
    """Own words that look like something else, answers between quoted lines, mails that are nothing but quotation."""
    for number, text in enumerate(words["kept"]):
        yield f"kept {number}", Draft("w", f"{text}\n", answer=False), text
        html = f"<html><body>{divs(text)}</body></html>"
        yield f"kept {number}, HTML", Draft("w", html=html, encoding="base64", answer=False), text
    first, second = words["own"][0], words["closing"]
    lines = words["quoted"].split("\n")
    between = f"{words.wrote('thunderbird')}\n{marked(lines[0])}\n\n{second}\n\n{marked(lines[2])}\n\n{first}"
    yield "between", Draft("w", f"{between}\n\n-- \n{words.me}\n"), between
    between = f"{words.wrote('gmail')}\n{marked(lines[2])}\n{first}\n{marked(lines[4])}\n{second}\n{marked(lines[5])}"
    yield "between, a quotation last", Draft("w", f"{between}\n"), between
    for program in ("gmail", "apple", "thunderbird", "k9", "proton"):
        only = f"{words.wrote(program)}\n\n{marked(words['quoted'])}\n"
        yield f"only {program}'s quotation", Draft("w", only), words["quoted"]
    fields = "\n".join(words.fields())
    yield "only Outlook's quotation", Draft("w", f"{fields}\n\n{words['quoted']}\n"), words["quoted"]
    telephone = f"{words.pick('sent_from', 0)}\n\n{words.wrote('apple')}\n\n{marked(words['quoted'])}\n"
    yield "only a telephone's line", Draft("w", telephone), words["quoted"]
    below = f"{words['answers_below']}\n\n{fields}\n\n{lines[2]}\n{first}"
    yield "answers within an unmarked quotation", Draft("w", f"{below}\n"), below
