"""An SMS made of a mail has the sender's own words, and all of them."""

from __future__ import annotations

import pytest

from filters.excerpt import excerpt, own_words
from filters.mail import Mail

NEW = "Yes, at noon.\n\nBring the papers."


def mail(body: str, *header: str) -> Mail:
    return Mail.read(
        "\r\n".join(["From: Jean Dupont <jean@example.org>", *header]).encode() + b"\r\n\r\n" + body.encode()
    )


@pytest.mark.parametrize(
    "introduction",
    [
        "On Tue, 1 Jul 2025 at 10:00, Anna Berg <anna@example.org> wrote:",
        "On Tue, 1 Jul 2025 at 10:00, Anna Berg with a long name\n<anna@example.org> wrote:",
        "Le mar. 1 juil. 2025 à 10:00, Anna Berg <anna@example.org> a écrit :",
        "Op di 1 jul 2025 om 10:00 schreef Anna Berg <anna@example.org>:",
        "Am Di., 1. Juli 2025 um 10:00 Uhr schrieb Anna Berg <anna@example.org>:",
        "El mar, 1 jul 2025 a las 10:00, Anna Berg (<anna@example.org>) escribió:",
        "Il giorno mar 1 lug 2025 alle ore 10:00 Anna Berg <anna@example.org> ha scritto:",
        "Den tirs. 1. juli 2025 kl. 10.00 skrev Anna Berg <anna@example.org>:",
        "Anna Berg schreef op 2025-07-01 10:00:",
        "On 01/07/2025 10:00, Anna Berg wrote:",
    ],
)
def test_a_quotation_at_the_end_goes_with_its_introduction(introduction: str) -> None:
    assert own_words(f"{NEW}\n\n{introduction}\n\n> Lunch?\n>\n> Anna\n") == NEW
    assert own_words(f"{NEW}\n{introduction}\n> Lunch?\n") == NEW


@pytest.mark.parametrize(
    "original",
    [
        "-----Original Message-----\nFrom: Anna\nSent: Tuesday\nTo: Jean\nSubject: Lunch\n\nLunch?",
        "________________________________\nFrom: Anna <a@x.example>\nSent: Tuesday\nTo: Jean\nSubject: Lunch\n\nLunch?",
        "De : Anna <a@x.example>\nEnvoyé : mardi\nÀ : Jean\nObjet : Midi\n\nLunch?",
        "Von: Anna <a@x.example>\nGesendet: Dienstag\nAn: Jean\nBetreff: Mittag\n\nLunch?",
        "Van: Anna <a@x.example>\nVerzonden: dinsdag\nAan: Jean\nOnderwerp: Middag\n\nLunch?",
        "De: Anna <a@x.example>\nEnviado el: martes\nPara: Jean\nAsunto: Hola\n\nLunch?",
        "Da: Anna <a@x.example>\nInviato: martedì\nA: Jean\nOggetto: Pranzo\n\nLunch?",
        "Fra: Anna <a@x.example>\nSendt: tirsdag\nTil: Jean\nEmne: Frokost\n\nLunch?",
        "---------- Forwarded message ---------\nFrom: Anna\nDate: Tue\nSubject: x\nTo: y\n\nLunch?",
        "Begin forwarded message:\n\nFrom: Anna\nSubject: x\nDate: Tue\n\nLunch?",
    ],
)
def test_the_original_below_goes(original: str) -> None:
    assert own_words(f"{NEW}\n\n{original}\n") == NEW


SIGNATURES = ["-- \nJean Dupont\n+32 2 123 45 67", "--\nJean", "Sent from my iPhone", "Envoyé de mon iPhone"]
SIGNATURES += [
    "Verstuurd vanaf mijn iPhone",
    "Von meinem iPhone gesendet",
    "Enviado desde mi iPhone",
    "Inviato da iPhone",
]
SIGNATURES += ["Sendt fra min iPhone", "Get Outlook for Android<https://aka.ms/x>"]


@pytest.mark.parametrize("signature", SIGNATURES)
def test_a_signature_goes(signature: str) -> None:
    assert own_words(f"{NEW}\n\n{signature}\n") == NEW
    assert own_words(f"{NEW}\n\n{signature}\n\nOn 1 July 2025, Anna <a@x> wrote:\n> Lunch?\n") == NEW


def test_an_interleaved_answer_is_kept_whole() -> None:
    text = "On 1 July 2025, Anna <a@x.example> wrote:\n> Lunch?\nYes.\n\n> Where?\nHere."
    assert own_words(text) == text


def test_an_answer_below_one_quotation_stands_alone() -> None:
    assert own_words("On 1 July 2025, Anna <a@x.example> wrote:\n> Lunch?\n> Anna\n\nYes.\n") == "Yes."


def test_a_mail_that_is_only_quotation_says_what_it_quotes() -> None:
    assert own_words("> Lunch?\n>> At noon\n") == "Lunch?\nAt noon"
    assert own_words("---------- Forwarded message ---------\nFrom: Anna\n\nLunch?") == "From: Anna\n\nLunch?"


def test_what_only_looks_like_a_quotation_is_kept() -> None:
    for text in (
        "Prices: 3 > 2",
        "Call me at 10:",
        "From: the station, at 10.",
        "a\n--\n" + "\n".join("line" * 20 for _ in range(15)),
    ):
        assert own_words(text) == text


def test_white_space_is_tidied() -> None:
    assert own_words("\n\n  one   two \n\n\n\nthree\t four\n\n") == "one two\n\nthree four"
    assert own_words(" \n ") == ""


def test_an_excerpt_names_the_sender_and_the_subject() -> None:
    made = excerpt(mail("hi\r\n-- \r\nJean", "Subject: =?utf-8?q?Caf=C3=A9?="))
    assert (made.sender, made.subject, made.text, made.automatic, made.bounce) == (
        "Jean Dupont",
        "Café",
        "hi",
        False,
        False,
    )
    assert excerpt(Mail.read(b"From: a@b.example\n\nx")).sender == "a@b.example"
    assert excerpt(Mail.read(b"From: a@[\n\nx")).sender == "a@["
    assert excerpt(Mail.read(b"\n\nx")).sender == ""


def test_quoted_html_is_quotation() -> None:
    introduction = "On Tue, 1 Jul 2025, Anna &lt;a@x&gt; wrote:"
    html = f"<div>Yes.</div><div class=gmail_quote>{introduction}<br><blockquote>Lunch?</blockquote></div>"
    assert excerpt(mail(html, "Content-Type: text/html; charset=utf-8")).text == "Yes."


def test_a_mail_without_text_says_what_it_holds() -> None:
    made = excerpt(mail("AAAA", "Content-Type: image/png", "Subject: see"))
    assert (made.text, made.stand_in) == ("", "(image)")
