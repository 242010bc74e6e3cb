"""docs/configuration.md says what the models say: every key, its default, whether a reload takes it."""

from __future__ import annotations

import re
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from daemon.config.changes import needs_restart
from daemon.config.models import PORTS, SECTIONS
from daemon.peers import Networks
from filters.durations import Duration

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"
ROW = re.compile(r"\| `([\w.]+)` \| (.*?) \| (.*?) \| (yes|no) \| (.*?) \|")
#: Keys whose default depends on others: what the page says of the usual case.
USUAL = {"route.port": PORTS["smpp"], "route.price": 1}


def rows() -> dict[str, tuple[str, str, str, str]]:
    return {
        found[1]: (found[2], found[3], found[4], found[5])
        for found in map(ROW.match, PAGE.read_text().splitlines())
        if found
    }


def fields() -> dict[str, FieldInfo]:
    return {f"{name}.{key}": field for name, section in SECTIONS.items() for key, field in section.model_fields.items()}


def plain(value: Any) -> Any:
    """A default as TOML has it."""
    match value:
        case SecretStr():
            return value.get_secret_value()
        case Networks():
            return [*map(str, value.networks), *(["unix"] if value.unix else [])]
        case Duration():
            return str(value)
        case timedelta():
            return str(Duration(fixed=value))
        case tuple():
            return list(value)
    return value


def test_no_key_is_missing_and_none_too_many() -> None:
    assert sorted(rows()) == sorted(fields())


@pytest.mark.parametrize("key", sorted(fields()))
def test_a_key_is_described_as_it_is(key: str) -> None:
    field = fields()[key]
    default, unit, reloadable, meaning = rows()[key]
    if default == "required":
        assert field.is_required() or key == "route.host", "a default is not told"
    elif default == "absent":
        assert field.default is None
    else:
        written = tomllib.loads(f"value = {default.strip('`')}")["value"]
        real = USUAL.get(key, plain(field.get_default(call_default_factory=True)))
        assert (written, type(written)) == (real, type(real))
    assert (reloadable == "no") is needs_restart(key)
    assert ("secret" in unit) is (field.annotation is SecretStr or SecretStr in get_args(field.annotation))
    assert meaning.strip()
