"""Writes down the first schema as SQL, as revision 0001 makes it: run once, at the first release, never again.

python tests/gateway/store/first/freeze.py sqlite:////tmp/empty.db
python tests/gateway/store/first/freeze.py postgresql://user@host/empty
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event

from gateway.store.engine import open_engine, parse_url
from gateway.store.migrate import migrate


def freeze(url: str) -> None:
    engine = open_engine(parse_url(url))
    said: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def keep(_connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.split(maxsplit=1)[0] in ("CREATE", "INSERT"):
            said.append(
                "\n".join(line.rstrip() for line in statement.strip().expandtabs(2).splitlines() if line.strip())
            )

    migrate(engine, "0001")
    engine.dispose()
    said = [each for each in said if "INTO alembic_version" not in each]
    said.append("INSERT INTO alembic_version (version_num) VALUES ('0001')")
    (Path(__file__).parent / f"{engine.dialect.name}.sql").write_text(";\n\n".join(said) + ";\n")


if __name__ == "__main__":
    freeze(sys.argv[1])
