"""The command as a process: what it loads, pipes that break, interruptions, wrong use, defects."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys

import pytest

from daemon import __version__, commands

TOCSIN = [sys.executable, "-c", "from daemon.commands import main; main()"]


def run(*arguments: str, **more) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*TOCSIN, *arguments], capture_output=True, text=True, check=False, timeout=60, **more)


def test_the_version_is_the_packages() -> None:
    assert run("--version").stdout == f"tocsin {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Usage: tocsin"),
        (["plna"], "there is no verb 'plna'; did you mean plan?"),
        (["plan"], "Usage: tocsin plan"),
        (["plan", "ad"], "No such command 'ad'"),
        (["plan", "add", "x"], "Missing option '--monthly'"),
        (["plan", "add", "x", "--monthly", "many"], "'--monthly'"),
        (["--nonsense"], "--nonsense"),
        (["serve", "--role", "cook"], "'cook' is no role: choose listen, watch, calendars, dispatch, console"),
    ],
)
def test_wrong_use_ends_with_2_and_says_what_in_plain_text(tocsin, arguments, said) -> None:
    answer = tocsin(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert not set("╭│╰\x1b") & set(answer.err)


@pytest.mark.parametrize("verb", commands.VERBS)
def test_every_verb_has_help(tocsin, verb) -> None:
    answer = tocsin(verb, "--help")
    assert answer.code == 0
    assert answer.out.startswith(f"Usage: tocsin {verb}")
    assert "--install-completion" not in answer.out


def test_help_tells_every_verb_without_loading_it() -> None:
    code = "import sys; from daemon.commands import run; run(['--help']); print('sqlalchemy' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert all(f"\n  {verb} " in told for verb in commands.VERBS)
    assert told.endswith("False\n")


@pytest.mark.parametrize("arguments", [["try", "segments", "x"], ["try", "number", "+32475123456"], ["--version"]])
def test_dry_runs_load_no_database(arguments) -> None:
    code = (
        f"import sys; from daemon.commands import run; run({arguments!r}); "
        "print(sorted({'sqlalchemy', 'alembic', 'psycopg', 'asyncio', 'rich'} & set(sys.modules)), file=sys.stderr)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stderr == "[]\n"


def test_commands_on_a_store_do_not_load_what_migrates_it(configuration) -> None:
    code = "import sys; from daemon.commands import run; run(['plan', 'list']); print('alembic' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.endswith("False\n")


def test_a_pipe_that_breaks_is_no_defect(configuration) -> None:
    with contextlib.closing(sqlite3.connect(configuration.parent / "tocsin.db")) as database, database:
        plans = [(f"plan-{n}-{'x' * 80}",) for n in range(300)]  # more than a pipe's buffer in the process
        database.executemany("INSERT INTO plan (name, monthly) VALUES (?, 1)", plans)
    for arguments in (["plan", "list"], ["plan", "list", "--json"], ["--help"]):
        process = subprocess.Popen([*TOCSIN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        with process.stderr:
            assert process.stderr.read() == b""
        assert process.wait(60) == 1


WAITS = """
import sys, time
from daemon.commands import run, trial

def waits():
    print("ready", flush=True)
    time.sleep(60)

trial.read_text = waits
sys.exit(run(["try", "segments", "-"]))
"""


def test_an_interruption_ends_quietly_with_130() -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", WAITS], **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"")


def test_nothing_is_cut_short_in_a_pipe(configuration, tocsin) -> None:
    name = "n" * 100
    tocsin("plan", "add", name, "--monthly", "7")
    told = run("plan", "list", env={**os.environ, "COLUMNS": "20"}).stdout
    assert f"{name}  7\n" in told


def test_a_terminal_gets_a_table_that_is_folded_and_not_cut(configuration, tocsin) -> None:
    name = "n" * 100
    tocsin("plan", "add", name, "--monthly", "7")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "40", "TERM": "xterm"}
    with subprocess.Popen([*TOCSIN, "plan", "list"], stdout=theirs, stderr=theirs, env=environment):
        os.close(theirs)
        told = b""
        try:
            while piece := os.read(ours, 4096):
                told += piece
        except OSError:
            pass  # the terminal's other end is closed (EIO)
    os.close(ours)
    assert told.count(b"n") >= 100
    assert "…".encode() not in told


def test_long_work_shows_its_progress_on_a_terminal_only(configuration, tocsin, jean) -> None:
    tocsin("send", "--account", jean, "--sms", "+32475123456", "--text", "x")
    assert tocsin("queue", "hold", "--account", jean).err == ""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    command = [*TOCSIN, "queue", "release", "--account", jean]
    told = b""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environment) as process:
        os.close(theirs)
        assert process.stdout is not None
        assert process.stdout.read() == b"1 segment released.\n"
        try:
            while piece := os.read(ours, 4096):
                told += piece
        except OSError:
            pass  # the terminal's other end is closed (EIO)
    os.close(ours)
    assert b"segments: " in told


def test_a_locale_without_our_characters_still_gets_json_in_utf_8(configuration, tocsin, jean) -> None:
    tocsin("account", "set", jean, "--signature", "Åse €")
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [*TOCSIN, "account", "show", jean, "--json"]
    told = subprocess.run(command, capture_output=True, check=True, timeout=60, env=environment)
    assert json.loads(told.stdout.decode())["signature"] == "Åse €"
    people = subprocess.run(command[:-1], capture_output=True, check=True, timeout=60, env=environment)
    assert b"\\xc5se \\u20ac" in people.stdout


def test_a_defect_is_one_sentence_with_its_place(tocsin, jean, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr("gateway.accounts.plans", broken)
    answer = tocsin("plan", "list")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("tocsin: a defect of Tocsin: KeyError: 'x' (test_process.py, line ")
    assert answer.err.count("\n") == 1
    monkeypatch.setenv("TOCSIN_TRACEBACK", "1")
    assert "Traceback" in tocsin("plan", "list").err


def test_a_store_that_is_locked_is_refused_with_a_sentence(
    tocsin, jean, configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.engine.BUSY", 0.1)
    with sqlite3.connect(configuration.parent / "tocsin.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = tocsin("credit", "add", jean, "1", "--reason", "x")
        other.execute("ROLLBACK")
    other.close()
    assert (answer.code, answer.err) == (1, "tocsin: the store is locked by another process\n")


def test_the_roles_that_may_be_named_are_those_of_the_house() -> None:
    from daemon import assemble
    from daemon.commands import serve

    assert serve.ROLES == assemble.ROLES
