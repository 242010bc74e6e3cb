"""Mails that are no letter: invitations, reports, machines' output; and letters with next to nothing in them."""

from __future__ import annotations

import pytest

from filters.excerpt import Excerpt, excerpt
from filters.mail import Mail


def said(header: str, body: str = "") -> Excerpt:
    return excerpt(Mail.read(f"{header}\n\n{body}".replace("\n", "\r\n").encode()))


def parts(kind: str, *bodies: str) -> str:
    return f'Content-Type: multipart/{kind}; boundary="b"\n\n' + "".join(f"--b\n{body}\n" for body in bodies) + "--b--"


def calendar(method: str, *lines: str, prodid: str = "-//Example//EN") -> str:
    inside = "\n".join(lines)
    return (
        f"Content-Type: text/calendar; charset=utf-8;"
        f" method={method}\n\nBEGIN:VCALENDAR\nPRODID:{prodid}\nMETHOD:{method}\n"
        f"BEGIN:VEVENT\nDTSTART:20260714T080000Z\nSUMMARY:Budget\nLOCATION:Room 4\n{inside}\nEND:VEVENT\nEND:VCALENDAR"
    )


LINE = "Budget, Tuesday 14 July 2026 08:00 UTC, Room 4"


class TestInvitations:
    """One line says what, when, where; below it stands what the organiser wrote, not what his program did."""

    def test_with_its_organisers_words(self) -> None:
        note = r"DESCRIPTION:When: Tuesday\nWhere: Room 4\n\n*~*~*~*~*~*~*~*~*~*\n\nPlease bring figures.\n"
        body = parts("alternative", "\nWhen: Tuesday\n\n*~*~*~*~*\n\nPlease bring figures.", calendar("REQUEST", note))
        assert said("Subject: Budget\n" + body).text == f"{LINE}\nPlease bring figures."

    def test_of_a_conference_service(self) -> None:
        rule = "_" * 80
        note = rf"DESCRIPTION:See you there.\n{rule}\nMicrosoft Teams meeting\nJoin: https://teams.example/x\n"
        assert (
            said(parts("alternative", "\nSee you there.", calendar("REQUEST", note))).text == f"{LINE}\nSee you there."
        )

    def test_of_a_web_calendar(self) -> None:
        text = (
            "\nYou have been invited.\n\nReply for ann@x.y\nhttps://calendar.google.com/calendar/event?action=RESPOND"
        )
        assert (
            said(
                parts(
                    "mixed", parts("alternative", text, calendar("REQUEST")).replace('"b"', "c").replace("--b", "--c")
                )
            ).text
            == LINE
        )

    def test_that_is_cancelled(self) -> None:
        assert said(parts("alternative", "\ncancelled", calendar("CANCEL"))).text == f"Cancelled: {LINE}"

    @pytest.mark.parametrize(
        ("status", "words"),
        [("ACCEPTED", "accepted"), ("DECLINED", "declined"), ("TENTATIVE", "may come"), ("X", "answered")],
    )
    def test_that_is_answered(self, status: str, words: str) -> None:
        line = f'ATTENDEE;PARTSTAT={status};CN="Lee, Ann":mailto:ann@x.y'
        assert said(calendar("REPLY", line)).text == f"Lee, Ann {words}: {LINE}"

    def test_that_is_answered_with_words(self) -> None:
        line = "ATTENDEE;PARTSTAT=ACCEPTED:MAILTO:Ann@x.y"
        told = said(parts("alternative", "\nI may be late.", calendar("REPLY", line)))
        assert told.text == f"ann@x.y accepted: {LINE}\nI may be late."

    def test_on_whole_days_and_again_and_again(self) -> None:
        event = "BEGIN:VEVENT\nSUMMARY:Holiday\nDTSTART;VALUE=DATE:20260721\nRRULE:FREQ=YEARLY\nEND:VEVENT"
        body = f"Content-Type: text/calendar\n\n{event}"
        assert said(body).text == "Holiday, Tuesday 21 July 2026, repeats yearly"

    def test_that_makes_no_sense(self) -> None:
        for body in (
            "",
            "BEGIN:VEVENT",
            "BEGIN:VEVENT\nDTSTART:20261399T990000\nEND:VEVENT",
            "DTSTART:x",
            "BEGIN:VALARM",
        ):
            assert said(f"Content-Type: text/calendar\n\n{body}").text == ""

    def test_attached_to_a_letter_they_leave_the_letter_alone(self) -> None:
        attached = calendar("PUBLISH").replace("\n\n", '\nContent-Disposition: attachment; filename="a.ics"\n\n', 1)
        assert said(parts("mixed", "\nYour ticket.", attached)).text == "Your ticket."


class TestReports:
    """What became of a mail, a line for each recipient."""

    STATUS = (
        "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.x.y\nArrival-Date: Tue, 14 Jul 2026"
        " 10:00:00 +0200\n\n"
        "Final-Recipient: rfc822; bob@x.y\nOriginal-Recipient: rfc822;bob@x.y\nAction: failed\nStatus: 5.1.1\n"
        "Diagnostic-Code: smtp; 550 5.1.1 <bob@x.y>: Recipient address rejected: User\n    unknown in virtual"
        " mailbox table\n"
    )
    HUMAN = "\nThis is the mail system at host mx.x.y.\n\nI'm sorry to have to inform you ..."
    WHY = "550 5.1.1 Recipient address rejected: User unknown in virtual mailbox table"

    def report(self, *bodies: str) -> Excerpt:
        return said("From: MAILER-DAEMON@x.y\n" + parts("report; report-type=delivery-status", *bodies))

    def test_names_who_was_not_reached_and_why(self) -> None:
        told = self.report(
            self.HUMAN, self.STATUS, "Content-Type: message/rfc822\n\nSubject: =?utf-8?Q?caf=C3=A9?=\n\nhi"
        )
        assert told.text == f"Not delivered to bob@x.y: {self.WHY} (mail: café)"
        assert (told.bounce, told.automatic) == (True, True)

    def test_finds_the_subject_in_a_returned_header(self) -> None:
        told = self.report(
            self.HUMAN, self.STATUS, "Content-Type: text/rfc822-headers\n\nFrom: a@b\nSubject: the\n offer\n"
        )
        assert told.text == f"Not delivered to bob@x.y: {self.WHY} (mail: the offer)"

    def test_tells_of_delay_and_of_several(self) -> None:
        blocks = "".join(f"\nFinal-Recipient: rfc822; p{n}@x.y\nAction: delayed\nStatus: 4.4.1\n" for n in range(7))
        told = self.report(self.HUMAN, f"Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n{blocks}")
        lines = told.text.split("\n")
        assert lines[0] == "Delayed, not yet delivered to p0@x.y: 4.4.1"
        assert lines[5:] == ["and 2 more recipients"]

    def test_tells_of_success_without_a_reason(self) -> None:
        block = "Final-Recipient: rfc822; a@x.y\nAction: relayed (to x)\nStatus: 2.0.0\n"
        body = f"Content-Type: message/delivery-status\n\n{block}"
        assert self.report(self.HUMAN, body).text == "Passed on to the next server for a@x.y"

    def test_tells_who_read_a_mail(self) -> None:
        body = (
            "Content-Type: message/disposition-notification\n\nFinal-Recipient: rfc822; ann@x.y\n"
            "Disposition: manual-action/MDN-sent-manually; displayed\n"
        )
        told = said(parts("report; report-type=disposition-notification", "\nYour message was displayed.", body))
        assert told.text == "Read by ann@x.y"

    def test_that_is_damaged_says_what_people_are_told(self) -> None:
        told = self.report("\nThe mail could not be delivered.", "Content-Type: message/delivery-status\n\n\xff")
        assert told.text == "The mail could not be delivered."

    def test_of_an_old_server_ends_where_the_mail_is_returned(self) -> None:
        body = (
            "This message was created automatically by mail delivery software.\n\nThe following address failed:\n\n "
            " bob@x.y\n"
            "    unrouteable address\n\n------ This is a copy of the message, including all the headers."
            " ------\n\nReturn-path: <a@b>\n"
        )
        told = said("From: Mail Delivery System <Mailer-Daemon@x.y>\nX-Failed-Recipients: bob@x.y", body)
        assert told.text.endswith("bob@x.y\nunrouteable address")
        assert told.bounce


class TestMachines:
    """What a machine says is kept to the letter: it answers nothing and signs nothing."""

    OUTPUT = (
        "Filesystem   Size  Used\n/dev/sda1     20G   19G\n\n> backup of /home\n  > done\n--\nFrom: backup\nDate:"
        " today\n"
        "Subject: none\n\nSent from my iPhone"
    )

    @pytest.mark.parametrize(
        "mark",
        [
            "Auto-Submitted: auto-generated",
            "X-Cron-Env: <SHELL=/bin/sh>",
            "Auto-Submitted: auto-notified; owner-email=a@b",
        ],
    )
    def test_their_output_is_whole(self, mark: str) -> None:
        told = said(f"From: root (Cron Daemon)\nSubject: Cron <root@x> df\n{mark}", f"\n{self.OUTPUT}\n\n")
        assert told.text == self.OUTPUT
        assert told.automatic

    def test_a_list_of_people_is_no_machine(self) -> None:
        told = said(
            "List-Id: <friends.x.y>\nPrecedence: list", "Yes.\n\nOn 14/07/2026 10:05, Ann Lee wrote:\n> Lunch?\n"
        )
        assert told.text == "Yes."
        assert told.automatic

    def test_an_answering_machine_says_its_owners_words(self) -> None:
        told = said(
            "Auto-Submitted: auto-replied", "Back on Monday.\n\nOn 14/07/2026 10:05, Ann Lee wrote:\n> Lunch?\n"
        )
        assert told.text == "Back on Monday."


class TestLetters:
    """Letters whose words stand where nobody expects them."""

    @pytest.mark.parametrize("body", ["Sent from my iPhone\n", "\n\n-- \nAnn Lee\nTel. 02 555 12 12\n", "", "\n \n"])
    def test_a_letter_with_words_in_the_subject_only_says_nothing(self, body: str) -> None:
        assert said("Subject: call me", body).text == ""

    def test_a_signature_alone_in_its_own_box_says_nothing(self) -> None:
        html = '<div dir="ltr"><br clear="all"><div class="gmail_signature">Ann Lee<br>Tel. 02 555 12 12</div></div>'
        assert said('From: "Ann Lee" <a@x.y>\nSubject: call me\nContent-Type: text/html', html).text == ""

    def test_words_typed_into_the_box_of_the_signature_are_kept(self) -> None:
        html = (
            '<div class="gmail_signature">Can you come at eight instead of nine, with the keys of the old house?</div>'
        )
        told = said("From: Ann Lee <a@x.y>\nContent-Type: text/html", html)
        assert told.text == "Can you come at eight instead of nine, with the keys of the old house?"

    def test_pictures_in_the_text_are_named(self) -> None:
        assert (
            said("", "Look:\n[image: photo.jpg]\n[cid:image001.png@01DA]\nNice?").text
            == "Look:\n(image)\n(image)\nNice?"
        )

    @pytest.mark.parametrize(
        ("written", "text"),
        [
            ("Mail ann@x.y<mailto:ann@x.y> or 02<tel:02>.", "Mail ann@x.y or 02."),
            ("See www.x.y<http://www.x.y/> now", "See www.x.y now"),
            ("See here<https://x.y/a?b=c> now", "See here<https://x.y/a?b=c> now"),
            ("See <http://x.y/a\n> for more", "See <http://x.y/a> for more"),
            (
                "See x.y<https://eur01.safelinks.protection.outlook.com/?url=http%3A%2F%2Fx.y%2F&data=05%7C01&reserved=0>",
                "See x.y",
            ),
            (
                "See it<https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fx.y%2Fz&data=05>",
                "See it<https://x.y/z>",
            ),
        ],
    )
    def test_a_link_is_written_once(self, written: str, text: str) -> None:
        assert said("", written).text == text

    def test_punctuation_is_plain(self) -> None:
        told = said(
            "Subject: “a” – b…\nFrom: Ann’s <a@x.y>\nContent-Type: text/plain; charset=utf-8",
            "« Oui » – ‘non’… • »Wort« ist",
        )
        assert told.text == '"Oui" - \'non\'... - "Wort" ist'
        assert (told.subject, told.sender) == ('"a" - b...', "Ann's")

    @pytest.mark.parametrize(
        ("written", "sender"),
        [
            ('"boss@corp.com" <evil@x.y>', "evil@x.y"),
            ('"Boss <boss@corp.com>" <evil@x.y>', "evil@x.y"),
            ('"ann@x.y" <ann@x.y>', "ann@x.y"),
            ('"Ann (ANN@x.y)" <ann@x.y>', "Ann (ANN@x.y)"),
            ("Ann <ann@x.y>", "Ann"),
            ("ann@x.y", "ann@x.y"),
        ],
    )
    def test_no_name_poses_as_another_address(self, written: str, sender: str) -> None:
        told = said(f"From: {written}", "hi")
        assert (told.sender, told.address) == (sender, "evil@x.y" if "evil" in written else "ann@x.y")

    def test_one_quotation_between_words_goes_where_it_is_introduced(self) -> None:
        introduced = "Hi Ann,\n\nOn 14/07/2026 10:05, Ann Lee wrote:\n> Lunch?\n\nYes, gladly."
        assert said("", introduced).text == "Hi Ann,\n\nYes, gladly."
        by_hand = "I read this:\n\n> Prices will rise.\n\nWhat do you think?"
        assert said("", by_hand).text == by_hand
