"""Idle mailboxes on a real Dovecot under TLS: memory and processor time of each, and how soon the telephone rings.

    python tests/bench/mailboxes.py [--mailboxes 300 1000 2000] [--mails 200] [--seconds 20] [--poller]

Needs root, for Dovecot. Latency is from the instant at which LMTP had answered 250 until node-smpp has its submit_sm.
With --poller the same mailboxes are also watched the usual way, each by one connection a minute (log in, select, search
for unseen mails, log out), and its latency is until the search shows the mail.
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import imaplib
import json
import os
import random
import signal
import smtplib
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from centre import centre
from processes import TOCSIN, notified, processor_seconds, wait_for
from sqlalchemy import func, select

from daemon.assemble import open_store
from daemon.config import load
from gateway.store import migrate, schema
from gateway.store.engine import open_engine, parse_url
from tests.peers.dovecot_imap import PASSWORD, DovecotImap, certify
from tests.peers.watched import KEY, add_watched

_CONFIG = """
[store]
url = "{store}"
secret_file = "{key}"
[watch]
allow_private_hosts = true
idle_connections = 5000
[[route]]
name = "sink"
channels = ["sms"]
transport = "smpp"
host = "127.0.0.1"
port = {smpp}
window = 50
receipts = false
sender = "32475000000"
[log]
level = "warning"
"""
_HIBERNATE = """
imap_hibernate_timeout = 1s
service imap {
  unix_listener imap-master {
    user = $default_internal_user
  }
}
service imap-hibernate {
  unix_listener imap-hibernate {
    mode = 0666
  }
}
"""
WARM = 10


def resident(pid: int) -> int:
    """Octets that are resident of a process now."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def processor_share(pid: int, seconds: float) -> float:
    """What of a core a process takes, in per cent."""
    used = processor_seconds(pid)
    time.sleep(seconds)
    return (processor_seconds(pid) - used) / seconds * 100


@contextlib.contextmanager
def serving(place: Path, smpp: int) -> Iterator[tuple[int, str]]:
    """The daemon, its store empty: its pid and the store's URL."""
    url = f"sqlite:///{place / 'tocsin.db'}"
    (place / "store.key").write_text(KEY + "\n")
    path = place / "tocsin.toml"
    path.write_text(_CONFIG.format(store=url, key=place / "store.key", smpp=smpp))
    store = open_store(load(path))
    migrate.migrate(store.engine)
    store.close()
    with notified(place) as (address, ready):
        environment = {**os.environ, "NOTIFY_SOCKET": address, "SSL_CERT_FILE": str(place / "cert.pem")}
        process = subprocess.Popen([TOCSIN, "--config", str(path), "serve"], env=environment)
        try:
            ready()
            yield process.pid, url
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(40)


def until_up(url: str, count: int, seconds: float) -> None:
    """Returns when so many mailboxes are watched."""
    engine = open_engine(parse_url(url), connections=1)
    up = select(func.count()).select_from(schema.mailbox).where(schema.mailbox.c.state == "up")

    def all_up() -> bool:
        with engine.connect().execution_options(tocsin_reads=True) as connection:
            return int(connection.execute(up).scalar_one()) >= count

    try:
        wait_for(all_up, seconds, f"{count} mailboxes are not watched", pause=0.2)
    finally:
        engine.dispose()


def deliver(dovecot: DovecotImap, users: list[str], pause: float) -> dict[str, int]:
    """A mail to each, one after the other: of each subject, when LMTP had answered."""
    taken = {}
    with smtplib.LMTP("127.0.0.1", dovecot.lmtp) as client:
        for user in users:
            subject = f"news for {user}"
            header = f"From: a@b.example\r\nSubject: {subject}\r\nMessage-ID: <{user}.{time.time_ns()}@b.example>\r\n"
            mail = f"{header}\r\nwords\r\n"
            client.sendmail("a@b.example", [f"{user}@example.org"], mail.encode())
            taken[subject] = time.monotonic_ns()
            time.sleep(pause)
    return taken


def quantiles(delays: list[float]) -> tuple[float, float]:
    """p50 and p99."""
    ordered = sorted(delays)
    return ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


def watched(dovecot: DovecotImap, place: Path, users: list[str], mails: int, seconds: float) -> None:
    """One row of the table."""
    with centre() as sink, serving(place, sink.port) as (pid, url):
        add_watched(url, dovecot.imaps, users[:WARM])
        until_up(url, WARM, 30)
        time.sleep(2)
        before = resident(pid)
        empty = processor_share(pid, seconds / 2)
        began, used = time.monotonic(), processor_seconds(pid)
        add_watched(url, dovecot.imaps, users[WARM:])
        until_up(url, len(users), 180)
        connecting, connected = processor_seconds(pid) - used, time.monotonic() - began
        time.sleep(3)
        each = (resident(pid) - before) / (len(users) - WARM)
        idle = processor_share(pid, seconds)
        chosen = random.Random(1).sample(users, min(mails, len(users)))
        taken = deliver(dovecot, chosen, 0.05)
        sink.until(30, accepted=len(chosen))
        lost = [subject for subject in taken if subject not in sink.came]
        p50, p99 = quantiles([(sink.came[one] - at) / 1e6 for one, at in taken.items() if one in sink.came])
    print(
        f"  {len(users):5} mailboxes: {each / 1024:5.0f} KiB each, "
        f"idle {idle:4.1f} % of a core ({empty:.1f} with {WARM}), "
        f"250 to submit_sm p50 {p50:.0f} ms, p99 {p99:.0f} ms; "
        f"all connected in {connected:.0f} s ({connecting:.1f} s of a core)" + (f"; {len(lost)} LOST" if lost else ""),
        flush=True,
    )


# The usual kind -------------------------------------------------------------------------------------------------------


def poll(place: Path, port: int, users: list[str], seconds: float) -> None:
    """The polling client, a process of its own: prints when it first saw each user's mail, and its processor time."""
    context = ssl.create_default_context(cafile=str(place / "cert.pem"))
    due = [(time.monotonic() + 60.0 * n / len(users), user) for n, user in enumerate(users)]
    heapq.heapify(due)
    lock, end, seen = threading.Lock(), time.monotonic() + seconds, {}

    def work() -> None:
        while True:
            with lock:
                at, user = heapq.heappop(due)
                heapq.heappush(due, (at + 60.0, user))
            if at > end:
                return
            time.sleep(max(0.0, at - time.monotonic()))
            with imaplib.IMAP4_SSL("localhost", port, ssl_context=context) as client:
                client.login(user, PASSWORD)
                client.select("INBOX", readonly=True)
                if client.search(None, "UNSEEN")[1][0]:
                    seen.setdefault(user, time.monotonic_ns())

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"seen": seen, "cpu": time.process_time()}))


def polled(dovecot: DovecotImap, place: Path, users: list[str], mails: int) -> None:
    """The same by the polling client: mails come in its second minute."""
    length = 125.0
    words = [sys.executable, __file__, "--poll", str(place), str(dovecot.imaps), str(len(users)), str(length)]
    client = subprocess.Popen(words, stdout=subprocess.PIPE)
    time.sleep(2)
    chosen = random.Random(1).sample(users, min(mails, len(users)))
    taken = deliver(dovecot, chosen, 0.25)
    found = json.loads(client.communicate(timeout=length + 60)[0])
    delays = [(found["seen"][user] - taken[f"news for {user}"]) / 1e9 for user in chosen if user in found["seen"]]
    p50, p99 = quantiles(delays)
    print(
        f"  {len(users):5} polled once a minute: {found['cpu'] / length * 100:.1f} % of a core, "
        f"250 to seen p50 {p50:.0f} s, p99 {p99:.0f} s",
        flush=True,
    )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mailboxes", type=int, nargs="+", default=[300, 1000, 2000])
    parser.add_argument("--mails", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--poller", action="store_true")
    parser.add_argument("--quick", action="store_true", help="300 mailboxes only")
    parser.add_argument("--poll", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.poll:
        place, port, count, seconds = args.poll
        poll(Path(place), int(port), [f"user{n}" for n in range(int(count))], float(seconds))
        return
    limit = Path("/proc/sys/fs/inotify/max_user_instances")
    with contextlib.suppress(OSError):
        if int(limit.read_text()) < 4096:
            limit.write_text("4096")
    print(f"\nIdle mailboxes on Dovecot, TLS, one process; inotify instances {limit.read_text().strip()}")
    for count in [300] if args.quick else args.mailboxes:
        users = [f"user{n}" for n in range(count)]
        with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as name:
            place = Path(name)
            dovecot = DovecotImap(*certify(place), more=_HIBERNATE)
            try:
                dovecot.start()
                watched(dovecot, place, users, args.mails, args.seconds)
            finally:
                dovecot.remove()
            if args.poller:
                dovecot = DovecotImap(place / "cert.pem", place / "key.pem")
                try:
                    dovecot.start()
                    polled(dovecot, place, users, args.mails)
                finally:
                    dovecot.remove()


if __name__ == "__main__":
    main()
