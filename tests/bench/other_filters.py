"""The same criteria in programs nobody here wrote: Pigeonhole's sieve-test, and imapfilter against a Dovecot."""

from __future__ import annotations

import os
import pwd
import resource
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

PLAIN = """\
log_path = /dev/stderr
first_valid_uid = 1
first_valid_gid = 0
mail_uid = {user}
mail_gid = {group}
mail_home = {folder}
mail_location = maildir:{folder}/mail
plugin {{
  sieve_max_script_size = 0
  sieve_max_actions = 0
}}
"""

IMAP = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
first_valid_uid = 1
mail_location = maildir:{folder}/mail
service imap-login {{
  inet_listener imap {{
    address = 127.0.0.1
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
passdb {{
  driver = static
  args = nopassword=yes
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={folder}/home allow_all_users=yes
}}
"""


def sieve_test(octets: Sequence[bytes], scripts: Mapping[str, Mapping[int, str]], rounds: int) -> None:
    """Print microseconds of processor time a mail, a process a mail; the start of the process is subtracted."""
    if shutil.which("sieve-test") is None or shutil.which("sievec") is None:
        print("\nsieve-test is not installed: apt-get install dovecot-sieve")
        return
    with _folder() as folder:
        _config(folder, PLAIN)
        files = [folder / f"{number}.eml" for number in range(len(octets))]
        for file, one in zip(files, octets, strict=True):
            file.write_bytes(one)
        start = _tested(folder, "keep;\n", files, rounds)
        print(f"\nsieve-test of scripts that are compiled already; what it takes to start is subtracted: {start:,.0f}")
        for kind, by_count in scripts.items():
            figures = [_tested(folder, text, files, rounds) - start for text in by_count.values()]
            print(f"{f'sieve-test, {kind}':34} " + " ".join(f"{figure:12,.0f}" for figure in figures), flush=True)


def _tested(folder: Path, text: str, files: Sequence[Path], rounds: int) -> float:
    (folder / "some.sieve").write_text(text)
    compiled = ["sievec", "-c", str(folder / "dovecot.conf"), str(folder / "some.sieve"), str(folder / "some.svbin")]
    subprocess.run(compiled, check=True, capture_output=True, timeout=60)
    (folder / "some.svbin").chmod(0o644)  # it is read by the owner of the mails
    command = ["sieve-test", "-c", str(folder / "dovecot.conf"), str(folder / "some.sieve")]
    return statistics.mean(min(_spent([*command, str(file)]) for _ in range(rounds)) for file in files)


def _spent(command: Sequence[str]) -> float:
    """The processor time of a process, in microseconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1_000_000


def imapfilter(octets: Sequence[bytes], asked: Mapping[str, Callable[[int], str]]) -> None:
    """Print microseconds of elapsed time a mail, logging in subtracted: the server searches all mails at once."""
    if shutil.which("imapfilter") is None or shutil.which("dovecot") is None or os.geteuid():
        print("\nimapfilter needs imapfilter and dovecot-imapd, and root: apt-get install imapfilter dovecot-imapd")
        return
    with _folder() as folder, _served(folder, octets) as port:
        start = min(_run(folder, port, "") for _ in range(3))
        print(f"\nimapfilter and Dovecot, elapsed, {len(octets)} mails; logging in is subtracted: {start * 1e6:,.0f}")
        for kind, text in asked.items():
            figures = [(_run(folder, port, text(count)) - start) / len(octets) * 1e6 for count in (1, 50, 1000)]
            print(f"{f'imapfilter, {kind}':34} " + " ".join(f"{figure:12,.0f}" for figure in figures), flush=True)


def _run(folder: Path, port: int, text: str) -> float:
    """The elapsed time of one run, in seconds."""
    script = folder / "imapfilter.lua"
    account = f"account = IMAP {{ server = '127.0.0.1', port = {port}, username = 'u', password = 'p' }}"
    script.write_text(f"{account}\ninbox = account.INBOX\ninbox:check_status()\n{text}\n")
    began = time.monotonic()
    command = ["imapfilter", "-c", str(script)]
    subprocess.run(command, check=True, capture_output=True, timeout=120, env={**os.environ, "HOME": str(folder)})
    return time.monotonic() - began


@contextmanager
def _served(folder: Path, octets: Sequence[bytes]) -> Iterator[int]:
    """A Dovecot of our own with these mails in everybody's INBOX; its port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    owner = _config(folder, IMAP, port=port)
    (folder / "home").mkdir()
    for name in ("mail", "mail/cur", "mail/new", "mail/tmp"):
        (folder / name).mkdir()
    for number, one in enumerate(octets):
        (folder / "mail" / "cur" / f"{number}.bench:2,").write_bytes(one)
    for path in (folder / "home", folder / "mail", *(folder / "mail").rglob("*")):
        os.chown(path, owner.pw_uid, owner.pw_gid)
    process = subprocess.Popen(["dovecot", "-F", "-c", str(folder / "dovecot.conf")])
    try:
        deadline = time.monotonic() + 20
        while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def _config(folder: Path, text: str, **more: int) -> pwd.struct_passwd:
    """Write Dovecot's configuration; who the mails belong to."""
    owner = pwd.getpwnam("mail") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    filled = text.format(folder=folder, user=owner.pw_uid, group=owner.pw_gid, **more)
    (folder / "dovecot.conf").write_text(filled)
    return owner


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="filters-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder
