"""What is wrong with a configuration: every fault, with its key, its value and what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon import config
from daemon.config import ConfigurationError

ROUTE = '[[route]]\nname = "a"\nchannels = ["sms"]\ntransport = "smpp"\nhost = "h"\n'


@pytest.fixture
def faults(tmp_path: Path):
    def read(text: str | bytes) -> list[str]:
        path = tmp_path / "tocsin.toml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        with pytest.raises(ConfigurationError) as found:
            config.load(path, {})
        assert found.value.path == path
        assert str(found.value).startswith(f"{path}: ")
        assert all(str(fault) in str(found.value) for fault in found.value.faults)
        return [str(fault) for fault in found.value.faults]

    return read


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("lisen = 1", "lisen: is no key of the configuration; did you mean listen?"),
        ("[listen]\nsmpt = 1", "listen.smpt: is no key of [listen]; did you mean smtp?"),
        ("[listen]\nmax_size = '10'", 'listen.max_size: is "10": write a whole number, without quotation marks'),
        ("[listen]\nmax_size = 1.5", "listen.max_size: is 1.5: write a whole number, without quotation marks"),
        ("[listen]\nmax_size = true", "listen.max_size: is true: write a whole number, without quotation marks"),
        ("[listen]\nmax_recipients = 0", "listen.max_recipients: is 0: choose 1 or more"),
        ("[listen]\nregion = 'XX'", 'listen.region: is "XX": write two letters as in ISO 3166, such as BE'),
        ("[listen]\npostmaster = 'root'", 'listen.postmaster: is "root": write a mail address'),
        ("[listen]\nsmtp = '25'", 'listen.smtp: is "25": write "host:port", "unix:/path" or "systemd:name"'),
        ("[listen]\nsmtp = '::1:25'", 'listen.smtp: is "::1:25": an IPv6 address stands in brackets: [::1]:25'),
        ("[listen]\nsmtp = 'h:70000'", 'listen.smtp: is "h:70000": write "host:port"'),
        ("[listen]\nsmtp = 'unix:run/s'", "the path of a Unix socket must be absolute"),
        ("[listen]\nsmtp = 'unix:/" + "x" * 107 + "'", "at most 107 octets"),
        (
            "[listen]\nrelays = ['10.0.0.1/8']",
            "listen.relays: 10.0.0.1/8 is an address inside a network: write 10.0.0.0/8",
        ),
        ("[listen]\nrelays = ['mx']", "listen.relays: 'mx' is no network"),
        ("[listen]\nrelays = 'unix'", 'listen.relays: is "unix": write a list'),
        ("[listen]\nsms_domain = 'a..b'", 'listen.sms_domain: is "a..b": write a domain name'),
        ("listen = 3", "listen: is 3: begin a table with [listen]"),
        ("route = 3", "route: is 3: begin each route with [[route]]"),
        ("[store]\nurl = 'mysql://u:hunter2@h/d'", "store.url: cannot be used: mysql is not supported"),
        ("[store]\nurl = 'sqlite://'", "store.url: cannot be used: a store in memory would lose what it accepted"),
        ("[store]\nsecret = 'hunter2'", "store.secret: cannot be used: write one key a line, each of 32 or more"),
        ("[store]\nkeep = '1 year'", 'store.keep: is "1 year": write a duration as in ISO 8601'),
        ("[store]\nkeep = 'PT0S'", 'store.keep: is "PT0S": choose more than no time at all'),
        ("[watch]\npoll = 'P1M'", 'watch.poll: is "P1M": years and months differ in length'),
        ("[watch]\npoll = 300", "watch.poll: is 300: write a duration"),
        ("[watch]\nallow_private_hosts = 'no'", "write true or false, without quotation marks"),
        ("[log]\nformat = 'xml'", 'log.format: is "xml": choose text, json or journald'),
        ("[console]\nurl = 'tocsin.example.org'", "console.url: is"),
        ("[console]\nrate = inf", "console.rate: is"),
        (ROUTE.replace('transport = "smpp"', ""), "route[0].transport: is missing"),
        (ROUTE + "windw = 3", "route[0].windw: is no key of [route]; did you mean window?"),
        (ROUTE + "window = 0", "route[0].window: is 0: choose 1 or more"),
        (ROUTE + "rate = 0", "route[0].rate: is 0: choose more than 0"),
        (ROUTE + "port = 99999", "route[0].port: is 99999: choose 65535 at most"),
        (ROUTE + "bind = 'both'", 'route[0].bind: is "both": choose transceiver, transmitter, receiver or pair'),
        (ROUTE + "prefixes = ['32']", 'route[0].prefixes[0]: is "32": write the beginning of an international number'),
        (ROUTE + "prefixes = []", "route[0].prefixes: is an empty list: write at least one"),
        (
            ROUTE + "prices = { '33' = 2 }",
            'route[0].prices.33: is "33": write the beginning of an international number',
        ),
        (ROUTE + "prices = { '+33' = -1 }", 'route[0].prices."+33": is -1: choose 0 or more'),
        (ROUTE + "status = { '0x45' = 'maybe' }", 'route[0].status.0x45: is "maybe": choose accepted, transient'),
        (ROUTE + "status = { busy = 'transient' }", "'busy' is no command_status"),
        (ROUTE + "protocol_id = 256", "route[0].protocol_id: is 256: choose 255 at most"),
        (ROUTE + "sender = 'A very long sender name'", "route[0].sender: is"),
        (ROUTE + "sender = 'Twelve chars'", "route[0].sender: is"),
        (ROUTE + "system_id = 'sixteen-letters!'", "route[0].system_id: has 16 characters: SMPP 3.4 allows 15"),
        (ROUTE + "password = 'nine char'", "route[0].password: has 9 characters: SMPP 3.4 allows 8"),
        (ROUTE + "password = 'пароль'", "route[0].password: has a character that SMPP cannot carry"),
        (ROUTE + "password = 12", "route[0].password: cannot be used: write a text, in quotation marks"),
        (ROUTE.replace('h"', 'smsc:2775"'), 'route[0].host: is "smsc:2775": write a name or an address'),
        (ROUTE.replace('host = "h"', ""), "route[0].host: is missing: name the smpp server"),
        (ROUTE.replace("smpp", "hylafax"), "route[0].channels: has sms, which hylafax cannot carry: it carries fax"),
        (ROUTE.replace('"sms"', '"email"').replace("smpp", "smtp"), "route[0].sender: is missing: it is the From"),
        (ROUTE.replace('"sms"', '"pigeon"'), 'route[0].channels[0]: is "pigeon": choose sms, email or fax'),
        (ROUTE.replace('["sms"]', "[]"), "route[0].channels: is an empty list: write at least one"),
        (ROUTE.replace('"a"', '"a b"'), 'route[0].name: is "a b": use 1 to 100 characters without spaces'),
        (ROUTE + ROUTE, 'route[1].name: is "a" like that of route[0]: each needs its own'),
        ("[listen]\nsms_domain = 'x.org'\nfax_domain = 'X.org'", "listen.fax_domain: is x.org like sms_domain"),
        (
            "[listen]\nsmtp = 'h:1'\nlmtp = 'h:1'",
            "listen.lmtp: is h:1 like listen.smtp: give each an address of its own",
        ),
        ("[listen]\nsmtp = 'h:1'\n[console]\nlisten = 'h:1'", "console.listen: is h:1 like listen.smtp"),
    ],
)
def test_a_fault_says_its_key_its_value_and_what_to_write(faults, text: str, fault: str) -> None:
    told = faults(text)
    assert len(told) == 1, told
    assert fault in told[0]
    assert "hunter2" not in told[0]


def test_every_fault_is_listed(faults) -> None:
    told = faults(
        ROUTE + "window = 0\nrate = -1\nhots = 1\n" + ROUTE + "port = 0\n[log]\nlevel = 'loud'\n[listen]\nx = 1"
    )
    assert [fault.partition(":")[0] for fault in told] == [
        "listen.x",
        "route[0].window",
        "route[0].rate",
        "route[0].hots",
        "route[1].port",
        "log.level",
    ]


def test_a_route_that_is_wrong_does_not_hide_what_two_others_say_together(faults) -> None:
    other = ROUTE.replace('"a"', '"b"')
    told = faults(ROUTE + "window = 0\n" + other + other)
    assert [fault.partition(":")[0] for fault in told] == ["route[0].window", "route[2].name"]


@pytest.mark.parametrize("key", ["password", "url"])
def test_an_unreadable_secret_says_where_it_was_looked_for(faults, tmp_path, key) -> None:
    table = ROUTE if key == "password" else "[store]\n"
    where = "route[0].password_file" if key == "password" else "store.url_file"
    assert faults(table + f"{key}_file = 'missing'") == [
        f"{where}: missing cannot be read: there is no such file beside the configuration ({tmp_path})"
    ]
    assert faults(table + f"{key}_file = '/missing'") == [f"{where}: /missing cannot be read: there is no such file"]


def test_other_ways_in_which_a_secret_cannot_be_read(faults, tmp_path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "large").write_bytes(b"x" * 70_000)
    for name, why in (
        ("empty", "is empty"),
        ("folder", "cannot be read: is a directory"),
        ("binary", "is not UTF-8 text"),
        ("large", "is too large to be a secret"),
    ):
        (told,) = faults(ROUTE + f"password_file = '{name}'")
        assert why in told
    assert faults(ROUTE + "password = 'x'\npassword_file = 'empty'") == [
        "route[0].password: is written twice: keep password or password_file"
    ]


def test_a_store_key_that_is_named_must_be_there_unless_it_is_the_usual_one(faults, tmp_path) -> None:
    assert "secret_file: other cannot be read" in faults("[store]\nsecret_file = 'other'")[0]
    (tmp_path / "store.key").write_text("short")
    assert "32 or more characters" in faults("")[0]


def test_tls_takes_both_its_files(faults, tmp_path) -> None:
    (tmp_path / "key.pem").write_text("x")
    assert faults("[listen]\ntls_key = 'key.pem'") == [
        "listen.tls_certificate: is missing: tls_key is of no use without it"
    ]
    told = faults("[listen]\ntls_key = 'key.pem'\ntls_certificate = 'cert.pem'")
    assert "listen.tls_certificate: cert.pem cannot be read" in told[0]


def test_what_is_no_toml_says_where(faults) -> None:
    assert faults("[listen\n") == [
        "this is not TOML: Expected ']' at the end of a table declaration (at line 1, column 8)"
    ]
    assert faults(b"a = '\xff'") == ["this is not UTF-8 text, as TOML must be (octet 5)"]


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "none.toml", "no such file or directory"), (tmp_path, "is a directory")):
        with pytest.raises(ConfigurationError, match=f"{path}: the configuration cannot be read: {why}"):
            config.load(path, {})
