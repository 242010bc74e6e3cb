"""How mail programs answer and pass on, each with the marks of its own that a reader of mails has to know."""

from __future__ import annotations

import html as escaping
from collections.abc import Callable

from corpus_mails.building import Draft, breaks, divs, flowed, marked, paragraphs, wrapped
from corpus_mails.words import Words

_RULE = "_" * 32
_STYLE = (
    "<style><!-- @font-face{font-family:Calibri} p.MsoNormal, li.MsoNormal, div.MsoNormal{margin:0cm;font-size:11.0pt;"
    "font-family:'Calibri',sans-serif} a:link{color:#0563C1} @page WordSection1{size:612.0pt 792.0pt} --></style>"
)


def gmail(words: Words, own: str, turn: int) -> Draft:
    wrote = words.wrote("gmail", turn)
    quoted = words["quoted"] + "\n\n" + marked(wrote + "\n\n" + marked(words["older"]))
    html = (
        f'<div dir="ltr">{divs(own)}</div><br><div class="gmail_quote gmail_quote_container"><div dir="ltr" class='
        f'"gmail_attr">{escaping.escape(wrote)}<br></div><blockquote class="gmail_quote" style="margin:0px 0px 0px'
        " 0.8ex;"
        f'border-left:1px solid rgb(204,204,204);padding-left:1ex">{divs(words["quoted"])}</blockquote></div>'
    )
    return Draft("gmail", f"{own}\n\n{wrapped(wrote)}\n\n{marked(quoted)}\n", html)


def gmail_html_with_signature(words: Words, own: str, turn: int) -> Draft:
    wrote = words.wrote("gmail", turn)
    signature = "<br>".join(map(escaping.escape, [words.me, *words["contact"]]))
    html = (
        f'<div dir="ltr">{divs(own)}<div><br></div><span class="gmail_signature_prefix">-- </span><br><div dir="ltr" '
        f'class="gmail_signature" data-smartmail="gmail_signature"><div dir="ltr">{signature}</div></div></div><br>'
        f'<div class="gmail_quote"><div dir="ltr" class="gmail_attr">{escaping.escape(wrote)}<br></div><blockquote '
        f'class="gmail_quote" style="margin:0 0 0 .8ex;border-left:1px #ccc solid;padding-left:1ex">'
        f"{divs(words['quoted'])}</blockquote></div>"
    )
    return Draft("gmail-html", html=html, encoding="base64")


def apple(words: Words, own: str, turn: int) -> Draft:
    wrote = words.wrote("apple", turn)
    plain = f"{own}\n\n> {wrote}\n> \n{marked(words['quoted'])}\n"
    if turn % 2:
        plain = f"{own}\n\n{wrote}\n\n{marked(words['quoted'])}\n"
    html = (
        f'<html><body style="overflow-wrap: break-word; -webkit-nbsp-mode: space;">{divs(own)}<br id="lineBreakAtBegin'
        f'ningOfMessage"><div><br><blockquote type="cite"><div>{escaping.escape(wrote)}</div><br'
        ' class="Apple-interchange-'
        f'newline"><div><div>{divs(words["quoted"])}</div></div></blockquote></div><br></body></html>'
    )
    return Draft("apple", plain, html if turn % 3 else "", fields={"X-Mailer": "Apple Mail (2.3774.600.62)"})


def iphone(words: Words, own: str, turn: int) -> Draft:
    wrote = words.wrote("apple", turn)
    html = (
        f'<html><head><meta http-equiv="content-type" content="text/html; charset=utf-8"></head><body'
        f' dir="auto">{divs(own)}'
        f'<br id="lineBreakAtBeginningOfSignature"><div dir="ltr">{escaping.escape(words.pick("sent_from", 0))}'
        "</div><div dir="
        f'"ltr"><br><blockquote type="cite">{escaping.escape(wrote)}<br><br></blockquote></div><blockquote'
        ' type="cite"><div '
        f'dir="ltr">\ufeff{divs(words["quoted"])}</div></blockquote></body></html>'
    )
    plain = (
        f"{own}\n\n{words.pick('sent_from', 0)}\n\n> {wrote}\n> \n> \ufeff{words['quoted'].splitlines()[0]}\n>\n> ...\n"
    )
    return Draft("iphone", plain if turn % 2 else "", html, fields={"X-Mailer": "iPhone Mail (22F76)"})


def thunderbird(words: Words, own: str, turn: int) -> Draft:
    wrote = words.wrote("thunderbird", turn)
    plain = f"{flowed(own)}\n\n{wrote}\n{marked(words['quoted'])}\n\n-- \n{words.me}\n{words['contact'][3]}\n"
    return Draft("thunderbird", plain, encoding="8bit", parameters="; format=flowed")


def thunderbird_below(words: Words, own: str, turn: int) -> Draft:
    plain = f"{words.wrote('thunderbird', turn)}\n{marked(words['quoted'])}\n\n{flowed(own)}\n\n-- \n{words.me}\n"
    return Draft("thunderbird-below", plain, encoding="8bit", parameters="; format=flowed")


def thunderbird_html(words: Words, own: str, turn: int) -> Draft:
    html = (
        f'<!DOCTYPE html><html><head><meta http-equiv="Content-Type" content="text/html; charset=UTF-8"></head>'
        "<body><p>"
        f'{breaks(own)}</p><div class="moz-signature">-- <br>{escaping.escape(words.me)}<br>{words["contact"][2]}</div>'
        f'<div class="moz-cite-prefix">{escaping.escape(words.wrote("thunderbird", turn))}<br></div><blockquote'
        ' type="cite" '
        f'cite="mid:q@example.org"><p>{breaks(words["quoted"])}</p></blockquote></body></html>'
    )
    return Draft("thunderbird-html", html=html)


def outlook(words: Words, own: str, turn: int) -> Draft:
    fields = words.fields(with_cc=bool(turn % 2), address=" <{}>" if turn % 2 else " <mailto:{}>")
    plain = f"{own}\n\n" + "\n".join(fields) + f"\n\n{words['quoted']}\n"
    head = "<br>".join(f"<b>{escaping.escape(line).replace(':', ':</b>', 1)}" for line in fields)
    html = (
        '<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><meta name=Generator content="Microsoft Word'
        ' 15">'
        f"<!--[if !mso]><style>v\\:* {{behavior:url(#default#VML);}}</style><![endif]-->{_STYLE}</head><body"
        " lang=EN-US "
        f"link=\"#0563C1\" style='word-wrap:break-word'><div class=WordSection1>{paragraphs(own)}<p class=MsoNormal>"
        "<o:p>"
        f"&nbsp;</o:p></p><div><div style='border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm'><p "
        f"class=MsoNormal>{head}<o:p></o:p></p></div></div>{paragraphs(words['quoted'])}</div></body></html>"
    )
    return Draft("outlook", plain if turn % 3 else "", html, encoding="base64", charset="utf-8")


def outlook_old(words: Words, own: str, turn: int) -> Draft:
    fields = words.fields(address=" [mailto:{}]")
    plain = f"{own}\n\n-----{words.pick('original', 0)}-----\n" + "\n".join(fields) + f"\n\n{words['quoted']}\n"
    return Draft("outlook-old", plain, charset="windows-1252", fields={"X-Mailer": "Microsoft Outlook 14.0"})


def outlook_web(words: Words, own: str, turn: int) -> Draft:
    signature = words.pick("sent_from", 2)
    fields = words.fields()
    plain = f"{own}\n\n{signature}\n{_RULE}\n" + "\n".join(fields) + f"\n\n{words['quoted']}\n"
    head = "<br>".join(f"<b>{escaping.escape(line).replace(':', ':</b>', 1)}" for line in fields)
    html = (
        '<html><head><style type="text/css" style="display:none;"> P {margin-top:0;margin-bottom:0;} </style></head>'
        "<body "
        f'dir="ltr">{"".join(_owa(line) for line in own.split(chr(10)))}<div id="appendonsend"></div><div'
        ' id="Signature">'
        f'{escaping.escape(words.me)}<br>{words["contact"][0]}</div><hr style="display:inline-block;width:98%"'
        ' tabindex="-1">'
        f'<div id="divRplyFwdMsg" dir="ltr"><font face="Calibri, sans-serif" style="font-size:11pt"'
        f' color="#000000">{head}'
        f"</font><div>&nbsp;</div></div>{divs(words['quoted'])}</body></html>"
    )
    return Draft("outlook-web", plain if turn % 2 else "", html)


def _owa(line: str) -> str:
    return (
        '<div class="elementToProof" style="font-family: Calibri, Helvetica, sans-serif; font-size: 12pt; color: '
        f'rgb(0, 0, 0);">{escaping.escape(line) or "<br>"}</div>'
    )


def outlook_mac(words: Words, own: str, turn: int) -> Draft:
    names = {**words["fields"], "date": words["date_name"]}
    inner = type(words)(words.language, {**words.table, "fields": names})
    bold = "*" if turn % 2 else ""
    return Draft("outlook-mac", f"{own}\n\n" + "\n".join(inner.fields(bold=bold)) + f"\n{words['quoted']}\n")


def yahoo(words: Words, own: str, turn: int) -> Draft:
    wrote = words.wrote("yahoo", turn)
    plain = f" {own}\n\n    {wrote}  \n \n {words['quoted']}  \n"
    html = (
        f'<html><head></head><body><div class="ydp1a2b3c4dyahoo-style-wrap" style="font-family:Helvetica'
        ';font-size:16px;">'
        f'{divs(own)}<div><br></div></div><div id="ydp5e6fyahoo_quoted_1" class="ydp5e6fyahoo_quoted"><div><div>'
        f"{escaping.escape(wrote)}</div><div><br></div>{divs(words['quoted'])}</div></div></body></html>"
    )
    return Draft("yahoo", plain if turn % 2 else "", html)


def gmx(words: Words, own: str, turn: int) -> Draft:
    fields = words.fields(date=words["short_date"], bold="")
    fields = [fields[1], fields[0], *fields[2:]]
    head = "<br>\n".join(f"<b>{escaping.escape(line).replace(':', ':</b>', 1)}" for line in fields)
    html = (
        '<html><head></head><body><div style="font-family: Verdana;font-size: 12.0px;"><div>'
        f'{divs(own)}</div><div> <div name="quote" style="margin:10px 5px 5px 10px; padding: 10px 0 10px 10px;'
        " border-left:2px "
        f'solid #C3D9E5; word-wrap: break-word;"><div style="margin:0 0 10px 0;">{head}</div><div'
        ' name="quoted-content">'
        f"{divs(words['quoted'])}</div></div></div></div></body></html>"
    )
    plain = f"{own}\n\n" + "\n".join(fields) + f"\n\n{words['quoted']}\n"
    return Draft("gmx", plain if turn % 2 else "", html, encoding="8bit")


def k9(words: Words, own: str, turn: int) -> Draft:
    plain = f"{own}\n\n{words.wrote('k9')}\n{marked(words['quoted'], '>')}\n\n-- \n{words['k9_signature']}\n"
    if turn % 2:
        plain = f"{own}\n-- \n{words['k9_signature']}\n\n{words.wrote('k9')}\n{marked(words['quoted'], '>')}\n"
    return Draft("k9", plain, fields={"User-Agent": "K-9 Mail for Android"})


def proton(words: Words, own: str, turn: int) -> Draft:
    wrote = words.wrote("proton")
    top = f"------- {words.pick('original', 0)} -------\n" if turn % 2 else ""
    plain = f"{own}\n\n{words.pick('sent_from', 5)}\n\n{top}{wrote}\n\n\n{marked(words['quoted'])}\n"
    html = (
        f'<div style="font-family: Arial, sans-serif; font-size: 14px;">{breaks(own)}</div><div'
        ' class="protonmail_signature_block"'
        f' style="font-family: Arial;"><div class="protonmail_signature_block-user">{escaping.escape(words.me)}<br>'
        f'{words["contact"][3]}</div><div class="protonmail_signature_block-proton">{words.pick("sent_from", 5)}'
        "</div></div>"
        f'<div class="protonmail_quote">{escaping.escape(wrote)}<br><blockquote class="protonmail_quote" type="cite">'
        f"{divs(words['quoted'])}</blockquote><br></div>"
    )
    return Draft("proton", plain if turn % 2 else "", html, encoding="base64")


def samsung(words: Words, own: str, turn: int) -> Draft:
    names = {**words["fields"], "date": words["date_name"]}
    inner = type(words)(words.language, {**words.table, "fields": names})
    fields = "\n".join(inner.fields(date="14/07/2026  10:05  (GMT+01:00)"))
    original = words.pick("original", 1)
    plain = f"{own}\n{words.pick('sent_from', 1)}\n-------- {original} --------\n{fields}\n{words['quoted']}\n"
    html = (
        f'<html><head></head><body dir="auto">{divs(own)}<div id="composer_signature" dir="auto"><div'
        ' style="font-size:12px">'
        f'{words.pick("sent_from", 6)}</div></div><div dir="auto"><br></div><div><div>-------- {original} --------'
        "</div>"
        f"{divs(fields)}</div><div>{divs(words['quoted'])}</div></body></html>"
    )
    return Draft("samsung", plain if turn % 2 else "", html, encoding="base64")


def outlook_phone(words: Words, own: str, turn: int) -> Draft:
    plain = (
        f"{own}\n\n{words.pick('sent_from', 7)}\n\n{_RULE}\n" + "\n".join(words.fields()) + f"\n\n{words['quoted']}\n"
    )
    return Draft("outlook-phone", plain, encoding="base64")


def _line(program: str, *, mark: str = "> ", **options: str) -> Callable[[Words, str, int], Draft]:
    """A program that writes plain text: own words, its line, the quotation."""

    def answer(words: Words, own: str, turn: int) -> Draft:
        plain = f"{own}\n\n{wrapped(words.wrote(program, turn))}\n{marked(words['quoted'], mark)}\n"
        return Draft(program, plain, **options)

    return answer


def zimbra(words: Words, own: str, turn: int) -> Draft:
    fields = words.fields()
    plain = f"{own}\n\n----- {words.pick('original', 0)} -----\n" + "\n".join(fields) + f"\n\n{words['quoted']}\n"
    head = "".join(f"<b>{escaping.escape(line).replace(':', ':</b>', 1)}<br>" for line in fields)
    html = (
        f'<html><body><div style="font-family: arial; font-size: 12pt; color: #000000">{divs(own)}<hr id="zwchr"'
        " data-marker="
        f'"__DIVIDER__"><div data-marker="__HEADERS__"><blockquote style="border-left:2px solid #1010FF'
        ";margin-left:5px;"
        f'padding-left:5px;color:#000;">{head}</blockquote></div><div data-marker="__QUOTED_TEXT__"><blockquote style="'
        f'border-left:2px solid #1010FF;margin-left:5px;padding-left:5px;">{divs(words["quoted"])}</blockquote>'
        "</div></div>"
        "</body></html>"
    )
    return Draft("zimbra", plain if turn % 2 else "", html, fields={"X-Mailer": "Zimbra 8.8.15_GA_4562"})


ANSWERS: tuple[Callable[[Words, str, int], Draft], ...] = (
    gmail,
    gmail_html_with_signature,
    apple,
    iphone,
    thunderbird,
    thunderbird_below,
    thunderbird_html,
    outlook,
    outlook_old,
    outlook_web,
    outlook_mac,
    outlook_phone,
    yahoo,
    gmx,
    k9,
    proton,
    samsung,
    zimbra,
    _line("evolution"),
    _line("roundcube", encoding="8bit"),
    _line("horde", encoding="8bit", charset="iso-8859-1"),
    _line("ox", encoding="base64"),
    _line("tuta"),
    _line("notes", mark=">"),
    _line("zoho"),
)
