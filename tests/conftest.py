"""What every test may ask for: a fresh, migrated store on each database, and what to do when a peer is absent."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from gateway import verbs
from gateway.store import migrate
from gateway.store.engine import open_engine, parse_url
from gateway.store.store import Store
from tests.peers.presence import absent

# A PostgreSQL cluster of this run's own -------------------------------------------------------------------------------


class Cluster:
    """PostgreSQL in a temporary folder, on a unix socket there, as a user other than root; `durable` only if asked."""

    def __init__(self, folder: Path, binaries: Path, *, durable: bool = False) -> None:
        self.folder = folder
        self._binaries = binaries
        self._names = (f"test_{n}" for n in itertools.count())
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user is not None:
            owner = pwd.getpwnam(self._user)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        self._guard = self._watch()
        self._run("initdb", "-D", "data", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync")
        with (folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write(
                f"listen_addresses = ''\nunix_socket_directories = '{folder}'\nmax_connections = 200\n"
                "shared_buffers = 64MB\nautovacuum = off\n"
            )
            if not durable:
                settings.write("fsync = off\nfull_page_writes = off\ndeadlock_timeout = 200ms\n")

    def _watch(self) -> subprocess.Popen[bytes]:
        """Sees to it that a run that is killed leaves no server behind: it waits until our end of its pipe is gone."""
        stop = 'cat >/dev/null; "$0" -D data -m immediate -w stop; cd /; rm -rf "$1"'
        return subprocess.Popen(
            ["/bin/sh", "-c", stop, self._binaries / "pg_ctl", self.folder],
            cwd=self.folder,
            user=self._user,
            extra_groups=[] if self._user else None,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def close(self) -> None:
        """Stop, and take the folder away."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait(60)

    def start(self) -> None:
        self._run("pg_ctl", "-D", "data", "-l", "log", "-w", "start")

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-D", "data", "-m", mode, "-w", "stop")

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def execute(self, statement: str, *values: Any, database: str = "postgres") -> list[Any]:
        """Run one statement as the administrator; its rows."""
        where = f"host={self.folder} user=postgres dbname={database}"
        with psycopg.connect(where, autocommit=True) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def create(self, template: str = "template1") -> str:
        """A new database like the template; its name."""
        name = next(self._names)
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _run(self, program: str, *arguments: str) -> None:
        with (self.folder / "said").open("wb") as said:
            done = subprocess.run(
                [self._binaries / program, *arguments],
                cwd=self.folder,
                user=self._user,
                extra_groups=[] if self._user else None,
                env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                timeout=60,
                check=False,
            )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {(self.folder / 'said').read_text()}")


def postgresql_binaries() -> Path | None:
    """Where the newest installed PostgreSQL keeps its programs; None where there is none."""
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda found: int(found.parts[-3]))
    found = homes[-1] if homes else shutil.which("initdb")
    return Path(found).resolve().parent if found else None


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster of this worker, with a database `migrated` as the template of all others."""
    binaries = postgresql_binaries() or absent("postgresql")
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="tocsin-pg-", dir=memory if os.access(memory, os.W_OK) else None))
    one = Cluster(folder, binaries)
    try:
        one.start()
        one.execute("CREATE DATABASE migrated")
        _migrate(one.url("migrated"))
        yield one
    finally:
        one.close()


# Stores ---------------------------------------------------------------------------------------------------------------


def _migrate(url: str) -> None:
    engine = open_engine(parse_url(url))
    try:
        migrate.migrate(engine)
    finally:
        engine.dispose()


@pytest.fixture(scope="session")
def _migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "migrated.db"
    _migrate(f"sqlite:///{file}")
    return file


@pytest.fixture
def sqlite_database(_migrated_file: Path, tmp_path: Path) -> str:
    """The URL of a fresh, migrated SQLite store."""
    file = tmp_path / "tocsin.db"
    shutil.copy(_migrated_file, file)
    return f"sqlite:///{file}"


@pytest.fixture
def postgresql_database(cluster: Cluster) -> Iterator[str]:
    """The URL of a fresh, migrated PostgreSQL store."""
    name = cluster.create("migrated")
    yield cluster.url(name)
    cluster.drop(name)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peer("postgresql"))])
def database(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh, migrated store: the test runs on both databases."""
    url: str = request.getfixturevalue(f"{request.param}_database")
    return url


@pytest.fixture
def open_store(request: pytest.FixtureRequest) -> Iterator[Callable[..., Store]]:
    """Opens stores, as many as the test likes, on the database it asked for; all are closed at its end."""
    with contextlib.ExitStack() as stack:

        def opened(url: str | None = None) -> Store:
            one = verbs.open_store(open_engine(parse_url(url or request.getfixturevalue("database"))))
            stack.callback(one.close)
            return one

        yield opened


@pytest.fixture
def store(database: str, open_store: Callable[..., Store]) -> Store:
    """A fresh store with the hot verbs, on each database in turn."""
    return open_store(database)
