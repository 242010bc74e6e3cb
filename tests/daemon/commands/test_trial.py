"""`tocsin try` and `tocsin route`."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_segments_are_shown_with_their_octets(tocsin) -> None:
    told = tocsin("try", "segments", "a" * 161).json
    assert (told["encoding"], told["data_coding"], told["length"]) == ("gsm7", 0, 161)
    assert [(part["length"], part["text"]) for part in told["segments"]] == [(153, "a" * 153), (8, "a" * 8)]
    assert told["segments"][1]["payload"] == "050003000202" + "61" * 8


def test_a_text_on_stdin_is_taken_exactly(tocsin) -> None:
    assert tocsin("try", "segments", "-", stdin=b"a\n").json["length"] == 2
    assert tocsin("try", "segments", "-", stdin=b"\xff").code == 1


def test_options_of_segments(tocsin) -> None:
    assert tocsin("try", "segments", "“a”").json["encoding"] == "gsm7"
    assert tocsin("try", "segments", "--no-transliterate", "“a”").json["encoding"] == "ucs2"
    wide = tocsin("try", "segments", "--concat", "udh16", "a" * 161).json
    assert [part["length"] for part in wide["segments"]] == [152, 9]
    assert tocsin("try", "segments", "--concat", "none", "a").code == 2


@pytest.mark.parametrize("text", ["-5 degrees", "--", "-help", "- x", "--- cut ---"])
def test_a_text_may_begin_with_a_dash(tocsin, text) -> None:
    arguments = ["--", text] if text == "--" else [text]
    assert tocsin("try", "segments", *arguments).json["segments"][0]["text"] == text


def test_an_empty_text_is_refused(tocsin) -> None:
    answer = tocsin("try", "segments", "")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.count("\n") == 1


def test_numbers_are_read_with_advice(tocsin) -> None:
    assert tocsin("try", "number", "--region", "be", "0475 12 34 56").json == {
        "valid": True,
        "e164": "+32475123456",
        "kind": "mobile",
        "country": "BE",
        "advice": None,
    }
    wrong = tocsin("try", "number", "04751234")
    assert wrong.code == 0
    assert (wrong.json["valid"], wrong.json["e164"]) == (False, None)
    assert wrong.json["advice"]
    assert tocsin("try", "number", "--region", "QQ", "1").code == 2


MAIL = b"""\
From: "boss@corp.example" <evil@x.example>\r
Subject: =?utf-8?Q?Caf=C3=A9=0D=0ABcc:_x@y?=\r
\r
Yes \xe2\x80\x93 at noon.\r
\r
On Tue, 14 Jul 2026 at 10:05, Ann <ann@x.example> wrote:\r
> Lunch?\r
"""


def test_an_excerpt_says_what_an_sms_would(tocsin, tmp_path: Path) -> None:
    file = tmp_path / "mail.eml"
    file.write_bytes(MAIL)
    expected = {
        "from": "evil@x.example",
        "subject": "Café Bcc: x@y",
        "text": "Yes - at noon.",
        "automatic": False,
        "bounce": False,
    }
    assert tocsin("try", "excerpt", str(file)).json == expected
    assert tocsin("try", "excerpt", "-", stdin=MAIL).json == expected
    assert tocsin("try", "excerpt", "-", stdin=b"From: Ann <a@b.c>\n\nhi").json["from"] == "Ann <a@b.c>"


def test_an_excerpt_names_what_has_no_words(tocsin) -> None:
    told = tocsin("try", "excerpt", "-", stdin=b"Subject: s\r\nContent-Type: image/png\r\n\r\nx").json
    assert (told["from"], told["subject"], told["text"]) == ("", "s", "(image)")


def test_a_mail_that_is_not_there_is_refused(tocsin) -> None:
    answer = tocsin("try", "excerpt", "/no/such/mail.eml")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == "tocsin: /no/such/mail.eml cannot be read: no such file or directory\n"


def test_dry_runs_need_no_configuration(tocsin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_CONFIG", "/no/such/file.toml")
    assert tocsin("try", "segments", "a").code == 0
    assert tocsin("try", "number", "+32475123456").code == 0
    assert tocsin("try", "excerpt", "-", stdin=b"").code == 0
    assert tocsin("try", "route", "+32475123456").code == 2


def test_a_number_takes_the_route_with_the_longest_prefix(tocsin) -> None:
    told = tocsin("try", "route", "+33612345678").json
    assert (told["to"], told["route"], told["price"]) == ("+33612345678", "france", 3)
    assert [(one["name"], one["taken"]) for one in told["routes"]] == [("france", True), ("operator", False)]
    assert all(one["why"] for one in told["routes"])
    assert tocsin("route", "explain", "+33612345678", "--json").json == told


def test_a_national_number_is_read_in_the_configured_region(tocsin) -> None:
    assert tocsin("try", "route", "0475123456").json["to"] == "+32475123456"


def test_a_number_that_no_route_takes_is_explained(tocsin) -> None:
    told = tocsin("try", "route", "+12125551234").json
    assert (told["route"], told["price"]) == (None, None)
    assert {one["name"]: one["why"] for one in told["routes"]}["operator"] == "it refuses numbers beginning with +1"
    assert "takes no route" in tocsin("route", "explain", "+12125551234").out


def test_what_is_no_number_is_refused(tocsin) -> None:
    answer = tocsin("route", "explain", "abc")
    assert (answer.code, answer.out) == (1, "")


def test_mail_has_no_prefix(tocsin, configuration) -> None:
    mail = '[[route]]\nname = "mail"\nchannels = ["email"]\ntransport = "smtp"\nhost = "h"\nsender = "t@example.org"\n'
    configuration.write_text(configuration.read_text() + mail)
    told = tocsin("route", "explain", "jean@example.org", "--channel", "email", "--json").json
    assert (told["route"], told["price"]) == ("mail", 0)
    assert tocsin("route", "explain", "+3222123456", "--channel", "fax", "--json").json["route"] is None


def test_routes_are_listed_without_their_secrets(tocsin, configuration) -> None:
    configuration.write_text(configuration.read_text().replace("port = 1\n", 'port = 1\npassword = "hunter2"\n', 1))
    listed = tocsin("route", "list", "--json")
    assert [(one["name"], one["port"], one["prefixes"]) for one in listed.json] == [
        ("operator", 1, ["+"]),
        ("france", 1, ["+33"]),
    ]
    assert "hunter2" not in listed.out + tocsin("route", "list").out


RECEIPTS = [
    (
        b"id:1891273321 sub:001 dlvrd:001 submit date:1305050826 done date:1305050826 stat:DELIVRD err:000\n",
        {
            "id": "1891273321",
            "state": "delivered",
            "error": "000",
            "submitted": "2013-05-05T08:26:00Z",
            "done": "2013-05-05T08:26:00Z",
        },
    ),
    (b"stat:FAILED err:0DC id:7f", {"id": "7f", "state": "undelivered", "error": "0DC"}),
    ("id:7f stat:REJECTD".encode("utf-16-be"), {"id": "7f", "state": "rejected"}),
    (b"362d9701 2", {"id": "362d9701", "state": "delivered"}),
]


@pytest.mark.parametrize(("said", "read"), RECEIPTS)
@pytest.mark.parametrize("hexadecimal", [False, True])
def test_a_receipt_is_shown_as_it_is_read(tocsin, said: bytes, read: dict[str, str], hexadecimal: bool) -> None:
    given = said.rstrip(b"\n").hex(" ").encode() + b"\n" if hexadecimal else said
    answer = tocsin("try", "receipt", *(["--hex"] if hexadecimal else []), stdin=given)
    assert answer.code == 0, answer.err
    assert {key: value for key, value in answer.json.items() if value is not None} == read
    assert set(answer.json) == {"id", "state", "error", "submitted", "done"}


@pytest.mark.parametrize(
    ("arguments", "said"), [([], b"hello"), (["--hex"], b"xyz"), (["--hex"], b"68656c6c6f"), ([], b"")]
)
def test_what_is_no_receipt_is_refused_in_one_sentence(tocsin, arguments: list[str], said: bytes) -> None:
    answer = tocsin("try", "receipt", *arguments, stdin=said)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("tocsin: ")


def test_routes_are_listed_with_how_they_are(tocsin, configuration: Path) -> None:
    from gateway import presence, verbs
    from gateway.presence import Report
    from gateway.store.engine import open_engine, parse_url

    assert {one["name"]: one["state"] for one in tocsin("route", "list", "--json").json} == {
        "operator": None,
        "france": None,
    }
    store = verbs.open_store(open_engine(parse_url(f"sqlite:///{configuration.parent / 'tocsin.db'}")))
    for number, state in ((1, "standby"), (2, "refused")):

        def tell(connection, number=number, state=state) -> None:
            presence.return_as(connection, number)
            now = presence.clock(connection)
            presence.beat(connection, number, [Report("route", "operator", state, now, "a wrong password")])

        store.run_now(tell)
    store.close()
    (first, second) = tocsin("route", "list", "--json").json
    assert (first["name"], first["state"], first["reason"]) == ("operator", "refused", "a wrong password")
    assert (second["name"], second["state"]) == ("france", None)
    assert "refused" in tocsin("route", "list").out
    explained = tocsin("route", "explain", "+32475123456", "--json").json
    assert {one["name"]: one["state"] for one in explained["routes"]} == {"operator": "refused", "france": None}
    (configuration.parent / "tocsin.db").unlink()
    assert tocsin("route", "list", "--json").json[0]["state"] is None
