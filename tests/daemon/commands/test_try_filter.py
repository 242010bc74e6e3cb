"""`tocsin try filter`: what a filter finds out about a mail, and whom it would tell what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

MAIL = """\
Return-Path: <boss@corp.example>
Delivered-To: ann+lists@example.org
Authentication-Results: mx.example.org; dmarc=pass header.from=corp.example
From: The Boss <boss@corp.example>
To: ann+lists@example.org
Subject: =?utf-8?q?URG=C3=89NT?= thing
Date: Tue, 14 Jul 2026 08:05:00 +0000

The server is down.
""".replace("\n", "\r\n")

CARDS = """\
BEGIN:VCARD
VERSION:3.0
UID:1
FN:Jean Dupont
N:Dupont;Jean;;;
EMAIL;TYPE=work:jean@dupont.example
TEL;TYPE=fax,work:+32 2 212 34 56
TEL;TYPE=home:+32 2 212 34 57
TEL;TYPE=cell:0475 12 34 57
END:VCARD
BEGIN:VCARD
VERSION:4.0
FN:The Boss
UID:urn:uuid:2
EMAIL:Boss@Corp.example
TEL;VALUE=uri;TYPE="voice,cell":tel:+32475123458
CATEGORIES:bosses
END:VCARD
BEGIN:VCARD
VERSION:4.0
KIND:group
FN:on call
MEMBER:urn:uuid:2
MEMBER:urn:uuid:1
MEMBER:mailto:else@example.org
END:VCARD
""".replace("\n", "\r\n")

URGENT = {"field": "subject", "op": "word", "value": "urgent"}


@pytest.fixture
def tried(tocsin, tmp_path: Path):
    (tmp_path / "mail.eml").write_bytes(MAIL.encode())
    (tmp_path / "cards.vcf").write_bytes(CARDS.encode())

    def run(when: Any, *options: str, actions: Any = None, **more: Any):
        document = {"name": "tried", "when": when, "actions": actions or [{"sms": ["me"]}], **more}
        (tmp_path / "filter.json").write_text(json.dumps(document))
        return tocsin("try", "filter", "--file", str(tmp_path / "filter.json"), *options, str(tmp_path / "mail.eml"))

    run.folder = tmp_path
    return run


def told(*found: tuple[str, str]) -> list[tuple[str, str]]:
    return list(found)


def destinations(answer: Any) -> list[tuple[str, str]]:
    return [(one["channel"], one["to"]) for one in answer.json["actions"]]


def test_a_filter_that_matches(tried) -> None:
    answer = tried(URGENT, actions=[{"sms": ["me"], "text": "{from_name}: {subject}", "max_parts": 1}], stop=True)
    assert answer.code == 0
    assert answer.json == {
        "matched": True,
        "hits": [{"path": "when", **URGENT, "found": "URGÉNT thing"}],
        "misses": [],
        "actions": [{"channel": "sms", "to": "me", "text": "The Boss: URGÉNT thing"}],
        "notes": [],
        "stopped": True,
    }


def test_a_filter_that_does_not_match_tells_nobody(tried) -> None:
    answer = tried({"all": [URGENT, {"field": "from", "op": "is", "value": "ann@example.org"}]}, stop=True).json
    assert (answer["matched"], answer["actions"], answer["stopped"]) == (False, [], False)
    assert [one["path"] for one in answer["hits"]] == ["when.all[0]"]
    assert [(one["path"], one["found"]) for one in answer["misses"]] == [("when.all[1]", "boss@corp.example")]


EVERYBODY = [
    {"sms": ["me", "contact:Jean Dupont", "list:on call", "+32 475 12 34 59", "0475 12 34 60"]},
    {"email": ["me", "contact:jean dupont", "list:on call", "x@example.org"]},
    {"fax": ["me", "contact:Jean Dupont", "+32 2 212 34 58"]},
]


def test_destinations_stay_as_written_where_nothing_resolves_them(tried) -> None:
    assert destinations(tried(URGENT, actions=EVERYBODY)) == told(
        *(("sms", to) for to in ("me", "contact:Jean Dupont", "list:on call", "+32475123459", "0475 12 34 60")),
        *(("email", to) for to in ("me", "contact:jean dupont", "list:on call", "x@example.org")),
        *(("fax", to) for to in ("me", "contact:Jean Dupont", "+3222123458")),
    )


def test_destinations_are_numbers_and_addresses_where_they_are_known(tried) -> None:
    options = ["--mobile", "+32 475 12 34 56", "--me", "ann@example.org", "--me", "ann@example.net"]
    answer = tried(URGENT, *options, "--contacts", str(tried.folder / "cards.vcf"), actions=EVERYBODY)
    assert destinations(answer) == told(
        ("sms", "+32475123456"),
        ("sms", "+32475123457"),  # also on call, but told once
        ("sms", "+32475123458"),
        ("sms", "+32475123459"),
        ("sms", "+32475123460"),
        ("email", "ann@example.org"),
        ("email", "jean@dupont.example"),
        ("email", "Boss@Corp.example"),
        ("email", "else@example.org"),
        ("email", "x@example.org"),
        ("fax", "me"),
        ("fax", "+3222123456"),
        ("fax", "+3222123458"),
    )


def test_an_unknown_contact_stays_and_a_note_says_why(tried) -> None:
    options = ["--contacts", str(tried.folder / "cards.vcf")]
    answer = tried(URGENT, *options, actions=[{"sms": ["contact:Nobody"]}, {"fax": ["contact:The Boss"]}])
    assert destinations(answer) == [("sms", "contact:Nobody"), ("fax", "contact:The Boss")]
    assert ["contact:Nobody" in answer.json["notes"][0], "a fax number" in answer.json["notes"][1]] == [True, True]


@pytest.mark.parametrize(
    ("word", "holds"), [("any", True), ("book:private", True), ("group:bosses", True), ("list:on call", True)]
)
def test_the_contacts_are_the_address_book(tried, word: str, holds: bool) -> None:
    test = {"field": "sender_in", "op": "in", "value": word}
    assert tried(test, "--contacts", str(tried.folder / "cards.vcf")).json["matched"] is holds
    unknown = tried(test)
    assert unknown.json["matched"] is False
    assert "no address book" in unknown.json["notes"][0]


def test_the_header_stands_for_the_envelope(tried) -> None:
    when = {
        "all": [
            {"field": "envelope_from", "op": "is", "value": "boss@corp.example"},
            {"field": "envelope_to:detail", "op": "is", "value": "lists"},
        ]
    }
    assert tried(when).json["matched"]


def test_authentication_results_are_believed_of_whom_is_named(tried) -> None:
    test = {"field": "dmarc", "op": "is", "value": "pass"}
    assert tried(test, "--authserv-id", "mx.example.org").json["matched"]
    assert not tried(test, "--authserv-id", "mx.example.net").json["matched"]
    none = tried(test).json
    assert not none["matched"]
    assert "no Authentication-Results is believed" in none["notes"][0]


def test_now_is_in_the_zone(tried) -> None:
    test = {"field": "hour", "op": "=", "value": "00:30"}
    for now in ("2026-07-14T22:30Z", "2026-07-15T00:30", "2026-07-15T00:30+02:00"):
        assert tried(test, "--zone", "Europe/Brussels", "--now", now).json["matched"], now
    assert not tried(test, "--now", "2026-07-14T22:30Z").json["matched"]


def test_a_text_is_cut_to_the_parts_it_may_have(tried) -> None:
    text = "word " * 60 + "{subject}"
    one, two, free = (
        tried(URGENT, actions=[{"sms": ["me"], "text": text, **more}]).json["actions"][0]["text"]
        for more in ({"max_parts": 1}, {"max_parts": 2}, {})
    )
    assert len(one) <= 160
    assert one.endswith("word...")
    assert 160 < len(two) <= 306
    assert free.endswith("URGÉNT thing")
    mail = tried(URGENT, actions=[{"email": ["me"], "text": text, "max_parts": 1}]).json["actions"][0]["text"]
    assert mail.endswith("URGÉNT thing")


def test_a_list_of_filters_is_asked_in_order(tried, tocsin) -> None:
    never = {"field": "size", "op": "<", "value": 0}
    documents = [
        {"name": name, "when": when, "actions": [{"sms": ["me"], "text": name}], "stop": stop}
        for name, when, stop in (("a", never, True), ("b", URGENT, False), ("c", URGENT, True), ("d", URGENT, False))
    ]
    (tried.folder / "list.json").write_text(json.dumps(documents))
    answer = tocsin("try", "filter", "--file", str(tried.folder / "list.json"), str(tried.folder / "mail.eml")).json
    assert [one["text"] for one in answer["actions"]] == ["b", "c"]
    assert (answer["matched"], answer["stopped"]) == (True, True)
    assert [one["path"] for one in (*answer["hits"], *answer["misses"])] == ["[1].when", "[2].when", "[0].when"]
    assert [(one["name"], one["matched"]) for one in answer["filters"]] == [("a", False), ("b", True), ("c", True)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"name": "a", "when": {"all": [{"field": "subject", "op": "contain"}]}}', "actions: is missing"),
        ('{"name": "a", "actions": [{"sms": ["me"]}], "when": {"field": "subject", "op": "contain"}}', "when.op: "),
        ('{"name": ', "line 1, column 10: this is not JSON"),
        ("[" * 500_000, "nests far too deep"),
        ("[" * 10_000_001, "too long"),
        ("[]", "no filter"),
    ],
)
def test_a_filter_that_cannot_be_run_is_refused_in_one_sentence(tocsin, tmp_path, content: str, said: str) -> None:
    (tmp_path / "f.json").write_text(content)
    (tmp_path / "mail.eml").write_text("Subject: x\n\n")
    answer = tocsin("try", "filter", "--file", str(tmp_path / "f.json"), str(tmp_path / "mail.eml"))
    assert (answer.code, answer.out, answer.err.count("\n")) == (1, "", 1)
    assert said in answer.err
    assert "f.json: " in answer.err


@pytest.mark.parametrize(
    "options",
    [
        ["--zone", "Mars"],
        ["--now", "tomorrow"],
        ["--now", "2026-03-29T02:30", "--zone", "Europe/Brussels"],
        ["--mobile", "x"],
        ["--me", "x"],
        ["--sieve-file", "x"],
    ],
)
def test_options_that_mean_nothing_are_wrong_use(tried, options: list[str]) -> None:
    assert tried(URGENT, *options).code == 2


def test_what_cannot_be_read_is_refused(tried, tocsin) -> None:
    assert tried(URGENT, "--contacts", str(tried.folder / "none.vcf")).code == 1
    (tried.folder / "wrong.vcf").write_text("BEGIN:VCARD\nFN:x\n")
    assert tried(URGENT, "--contacts", str(tried.folder / "wrong.vcf")).code == 1
    assert tocsin("try", "filter", str(tried.folder / "mail.eml")).code == 2


SCRIPT = """require ["enotify", "fileinto"];
if header :contains "subject" "thing" {
  notify :message "news" "tel:+32475123456";
  fileinto "Work";
  stop;
}
"""


def test_a_sieve_script_is_tried_in_the_same_way(tried, tocsin) -> None:
    (tried.folder / "f.sieve").write_text(SCRIPT)
    tried(URGENT)
    answer = tocsin("try", "filter", "--sieve", str(tried.folder / "f.sieve"), str(tried.folder / "mail.eml"))
    assert answer.json["matched"]
    assert answer.json["actions"] == [{"channel": "sms", "to": "+32475123456", "text": "news"}]
    assert any("fileinto" in note for note in answer.json["notes"])
    (tried.folder / "f.sieve").write_text("\n\nif nonsense { stop; }")
    wrong = tocsin("try", "filter", "--sieve", str(tried.folder / "f.sieve"), str(tried.folder / "mail.eml"))
    assert (wrong.code, "line 3" in wrong.err) == (1, True)
    both = tried(URGENT, "--sieve", str(tried.folder / "f.sieve"))
    assert both.code == 2


def test_the_mail_may_come_on_stdin(tried, tocsin) -> None:
    tried(URGENT)
    answer = tocsin("try", "filter", "--file", str(tried.folder / "filter.json"), "-", stdin=MAIL.encode())
    assert answer.json["matched"]


def test_it_loads_neither_a_database_nor_a_configuration(tried) -> None:
    import subprocess
    import sys

    tried(URGENT)
    code = (
        "import sys; from daemon.commands import run; code = run(sys.argv[1:]);"
        "print(code, [name for name in ('sqlalchemy', 'daemon.config', 'vobject', 'alembic') if name in sys.modules])"
    )
    arguments = ["try", "filter", "--file", str(tried.folder / "filter.json"), str(tried.folder / "mail.eml")]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "0 []"
