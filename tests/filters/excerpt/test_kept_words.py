"""Words that look like a quotation, a signature, a disclaimer, and are none: not one of them may be lost."""

from __future__ import annotations

import pytest

from filters.excerpt import own_words

KEPT = (
    "The password is: >hunter2",
    "Results:\n\n> 5: good\n> 6: bad",
    'Hi\n\nOn 5 May 2026 at 10:00 we meet. I wrote:\n"bring cake"',
    "On Monday 14 July 2026 at 10:05 the plumber wrote:\nI am coming at nine.\nIs that fine for you?",
    "Regards,\nPeter\n\nTel. 02 555 12 12\nCall me before noon please, it is urgent because the boiler is leaking.",
    "Best\nroute: E40 then R0\nTel: ring when you arrive\nwww.example.com/map",
    "The code is\n--\n1234\n--",
    "Order:\n- 3 beers\n--\nTotal 9",
    "If you have received this book in error please notify us and delete it.",
    "Please delete the file, notify Ann, and do not distribute it. It is confidential.",
    "This information is confidential: do not disclose it, delete this mail, and notify Ann when done.",
    "Attention: the shop is outside the city, don't open the attachment with your phone",
    "CAUTION: road closed outside the village. Click here for the map.",
    "External: call the vendor\n\nand open a ticket",
    "Sent via courier: one phone",
    "Sent from my iPhone is what it said.\nI did not believe it",
    "I got it.\nSent from my phone because the PC is dead.",
    "Get Outlook for iOS working on my phone please",
    "Download the app on your iPhone",
    "Download the mobile app and call me",
    "Envoyé par la poste, avec le téléphone",
    "Verzonden met mijn gsm in het pakje",
    "Gesendet mit dem Handy von Anna",
    "Mit dem Handy gesendet",
    "Enviado por mi padre con el móvil",
    "From: Ann\nTo: Bob\nSubject: poem\n\nRoses are red",
    "Von: Anna\nAn: Bob\nBetreff: Gedicht\n\nRosen sind rot",
    "Date: 14 July\nFrom: 10:00\nTo: 12:00\nSubject: maths",
    "Datum: 14 juli\nVan: 10:00\nAan: iedereen\nOnderwerp: feest",
    "Fecha: lunes\nDe: Madrid\nA: Sevilla\nAsunto: viaje",
    "Data: lunedì\nDa: Roma\nA: Milano\nOggetto: viaggio",
    "Begin forwarded message: is what I saw",
    "*** Original Message ***",
    "Hello\n\n________________________________\n\nSecond section",
    "Hello\n____________________\nTo unsubscribe from dinner tell Ann",
    "Point one\n----------------------------------\nPoint two: see the mailing list of Ann",
    'John wrote:\n"To be or not to be"\n\nNice?',
    "See below for my answer, and call me.",
    "zie hieronder",
    "Consider the environment before printing this poster, please make it green.",
    "Please think of the environment when printing: use both sides",
    "Vanaf morgen: Verzonden pakjes\nvia Android app",
    "Groeten uit Spanje!\n\nHet weer is mooi.\nTel morgen even.\nwww.spanje.be",
    "Saludos desde Cuba\nTodo bien\nTel: mañana\n",
    "Tak\nfor\nsidst",
    "lg\nund\nbis bald\n0175 1234567\nwww.x.de",
    "Merci\n0475123456\nwww.sncb.be",
    "Bob Jones\n12 High Street\nLondon\nTel 020 7946 0018",
    "Deliver to:\nAnn Lee\n12 High Street\nTel 020 7946 0018\nwww.x.y",
    "My address is\nAnn Lee\n12 High Street\nTel 020 7946 0018\nwww.x.y",
    "In reply to your letter of 14 July 2026 10:05 <ann@x.y>:\nyes",
    "Le 14 juillet 2026 à 10:05 <a@b.c> :\nrendez-vous",
    "Le 14/07/2026 à 10:05, rendez-vous chez le médecin, écrit :\nvenez à jeun",
    "Em 14/07/2026 10:05, João <j@x.y> escreveu:\nolá",
    "a > b\n> c\nd",
    "2 < 3\n>2 is true\n>1 too\nok?",
    "x\n\n\n\n-----\ny",
    "—\nAnn",
    "**Important**\ncall",
    "begin 644 words\nend",
    "1. a\n2. b\n\n-- three",
)


@pytest.mark.parametrize("text", KEPT)
def test_words_that_only_look_like_something_else_are_kept(text: str) -> None:
    assert own_words(text, name="Ann Lee").split() == text.split()


@pytest.mark.parametrize(
    "line",
    [
        "Sent from my HTC M8 Android phone.  Please excuse typos",
        "Sent from my BlackBerry® wireless device",
        "Sent from my Windows 8 PC <http://windows.example/x>",
        "(sent from a phone)",
        "Sent via mobile",
        "Get Outlook for iOShttps://aka.ms/o0ukef",
        "*Sent from my Samsung Galaxy S5*",
        "Envoyé de mon téléphone portable. Veuillez excuser la brièveté.",
        "Verstuurd vanaf mijn mobiel, excuseer typfouten",
        "Von meinem Mobiltelefon mit GMX Mail gesendet",
        "Diese Nachricht wurde von meinem Android Mobiltelefon mit WEB.DE Mail gesendet.",
        "Enviado desde mi teléfono móvil",
        "Inviato dal mio telefono Huawei",
        "Sendt fra min mobiltelefon",
    ],
)
def test_what_a_telephone_adds_goes_with_what_people_add_to_that(line: str) -> None:
    assert own_words(f"Yes.\n\n{line}\n") == "Yes."


@pytest.mark.parametrize(
    "introduction",
    [
        "2014-10-17 11:28 GMT+03:00 Ann Lee <\nann@x.example>:",
        "2011/4/7 Ann Lee <ann@x.example>",
        "On 11-Apr-2011, at 6:54 PM, Ann Lee <ann@x.example> wrote:",
        'On Tue, Jan 27, 2015 at 12:42 PM -0800, "Ann" <ann@x.example> wrote:',
        "On Nov 30, 2011, at 12:47 PM, Ann Lee\n<ann@x.example>\nwrote:",
        'In data 11 ottobre 2017 21:11:31 "Ann Lee" <ann@x.example> ha scritto:',
        "W dniu 14.07.2026 o 10:05, Ann Lee <ann@x.example> pisze:",
        "ann@x.example wrote:",
        "Ann Lee via Friends <ann@x.example> wrote:",
        "------On 12/29/1987 17:32 PM, Ann Lee wrote-----",
        "Le 23 janv. 2015 à 22:03, Ann Lee <ann@x.example<mailto:ann@x.example>> a écrit:",
    ],
)
def test_introductions_of_programs_less_known_go_too(introduction: str) -> None:
    assert own_words(f"Yes.\n\n{introduction}\n\n> Lunch?\n> Ann\n") == "Yes."


@pytest.mark.parametrize(
    "fields",
    [
        "Date: Thu, 26 Jun 2014 13:53:45 +0400\nSubject: Lunch\nFrom: ann@x.example\nTo: bob@x.example",
        "*From:* Ann Lee [mailto:ann@x.example]\n*Sent:* Wednesday, June 27, 2012 3:05 PM\n*To:* Bob\n*Subject:* Lunch",
        "From: Ann Lee\n<ann@x.example>\nSent: Monday, August 26, 2019 4:37 PM\nTo: Bob <bob@x.example>\nSubject:"
        " Lunch",
        "Von: Ann Lee\nGesendet: Dienstag, 14. Juli 2026 10:05\nAn: Bob",
        '------ Original Message ------\nFrom "Ann Lee" <ann@x.example>\nTo bob@x.example\nDate 14/07/2026 10:05:11',
    ],
)
def test_fields_written_out_in_other_orders_go_too(fields: str) -> None:
    assert own_words(f"Yes.\n\n{fields}\n\nLunch?\n") == "Yes."


def test_a_disclaimer_alone_is_no_text_but_a_line_like_one_is() -> None:
    written = "This message is confidential. Delete it if it came to you by mistake."
    assert own_words(written) == written
    long = (
        "This e-mail is confidential and intended for the addressee only. If you have received it in error, please"
        " notify "
        "the sender and delete it. Any copying is prohibited."
    )
    assert own_words(long) == ""
    assert own_words(f"Yes.\n{long}") == "Yes."


@pytest.mark.parametrize(
    "warning",
    [
        "[EXTERNAL EMAIL]",
        "EXTERNAL SENDER",
        "*** EXTERNAL ***",
        "You don't often get email from ann@x.example. Learn why this is important<https://aka.ms/x>",
        "U ontvangt niet vaak e-mail van ann@x.example. Meer informatie over waarom dit belangrijk is"
        "<https://aka.ms/x>",
        "ATTENTION: This email came from an external source. Do not open attachments or click on links.",
    ],
)
def test_a_warning_above_the_words_goes(warning: str) -> None:
    assert own_words(f"{warning}\n\nYes.") == "Yes."
