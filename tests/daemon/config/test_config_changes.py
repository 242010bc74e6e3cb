"""What a reload takes, and what waits for a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon import config
from daemon.config import Changes, compare

BASE = """\
[store]
url = "sqlite:////a.db"
[listen]
smtp = "127.0.0.1:25"
[[route]]
name = "a"
channels = ["sms"]
transport = "smpp"
host = "h"
password = "hunter2"
[[route]]
name = "b"
channels = ["sms"]
transport = "smpp"
host = "h"
"""


@pytest.fixture
def changes(tmp_path: Path):
    def between(new: str) -> Changes:
        configurations = []
        for name, text in (("old", BASE), ("new", new)):
            (tmp_path / name).write_text(text)
            configurations.append(config.load(tmp_path / name, {}))
        return compare(*configurations)

    return between


def test_the_same_again_changes_nothing(changes) -> None:
    assert not changes(BASE)
    assert not changes(BASE + "[log]\nlevel = 'info'\n")


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("a.db", "b.db", "store.url"),
        ("127.0.0.1:25", "127.0.0.1:26", "listen.smtp"),
        ("[listen]", "[listen]\nlmtp = '127.0.0.1:24'", "listen.lmtp"),
        ("[listen]", "[console]\nlisten = '127.0.0.1:24'\n[listen]", "console.listen"),
        ('a.db"', "a.db\"\nkeep = 'P1M'", "store.keep"),
    ],
)
def test_the_store_and_the_listen_addresses_wait_for_a_restart(changes, old, new, key) -> None:
    assert changes(BASE.replace(old, new)) == Changes(taken=(), restart=(key,))


@pytest.mark.parametrize(
    ("old", "new", "keys"),
    [
        ("hunter2", "hunter3", ('route "a".password',)),
        ("[listen]", "[listen]\nregion = 'BE'\nmax_size = 2048", ("listen.max_size", "listen.region")),
        ("[listen]", "[log]\nlevel = 'debug'\n[listen]", ("log.level",)),
        ('name = "b"', 'name = "c"', ('route "b"', 'route "c"')),
        ('name = "a"', 'name = "a"\nwindow = 20', ('route "a".window',)),
    ],
)
def test_everything_else_is_taken_and_named_without_its_value(changes, old, new, keys) -> None:
    assert changes(BASE.replace(old, new, 1)) == Changes(taken=keys, restart=())


def test_the_order_of_routes_counts(changes) -> None:
    head, first, second = BASE.partition("[[route]]")[0], *("[[route]]" + part for part in BASE.split("[[route]]")[1:])
    assert changes(head + second + first) == Changes(taken=("the order of routes",), restart=())
