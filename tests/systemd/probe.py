"""Runs inside a booted systemd, as root: drives the real units and writes down what it saw, as JSON.

Standard library only. The host's side, `test_real_systemd.py`, asserts on what is written here.
"""

import grp
import json
import os
import pwd
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

LMTP = "/var/spool/postfix/tocsin/lmtp"
SECRET = "pr0be5ay"
CONFIGURATION = """
[store]
url = "sqlite:////var/lib/tocsin/tocsin.db"

[listen]
lmtp = "systemd:lmtp"
sms_domain = "sms.example.org"
postmaster = "root@example.org"
trusted_networks = ["unix"]

[[route]]
name = "operator"
channels = ["sms"]
transport = "smpp"
host = "127.0.0.1"
port = 2775
password_file = "operator"
sender = "32475000000"

[[route]]
name = "relay"
channels = ["email"]
transport = "smtp"
host = "127.0.0.1"
port = 25
sender = "sms@example.org"

[log]
format = "journald"
"""

BIND_TRANSCEIVER, SUBMIT_SM, ENQUIRE_LINK, UNBIND, RESPONSE = 0x09, 0x04, 0x15, 0x06, 0x80000000


class Centre(socketserver.ThreadingTCPServer):
    """An SMS centre of forty lines: it takes what it is given, and answers submit_sm after `delay` seconds."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 2775), Link)
        self.delay = 0.0
        self.passwords: list[str] = []
        self.submitted: list[str] = []
        self.answered = 0
        self.unbound = 0


class Link(socketserver.StreamRequestHandler):
    server: Centre

    def handle(self) -> None:
        while len(head := self.rfile.read(16)) == 16:
            length, command, _, sequence = struct.unpack(">IIII", head)
            body = self.rfile.read(length - 16)
            answer = b""
            if command == BIND_TRANSCEIVER:
                _, password, *_ = body.split(b"\0")
                self.server.passwords.append(password.decode())
                answer = b"centre\0"
            elif command == SUBMIT_SM:
                self.server.submitted.append(body.hex())
                time.sleep(self.server.delay)
                answer = f"id{len(self.server.submitted)}\0".encode()
            elif command == UNBIND:
                self.server.unbound += 1
            elif command != ENQUIRE_LINK:
                continue
            self.wfile.write(struct.pack(">IIII", 16 + len(answer), command | RESPONSE, 0, sequence) + answer)
            self.server.answered += command == SUBMIT_SM


def run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{command} ended {done.returncode}: {done.stdout}{done.stderr}")
    return done


def tocsin(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return run("/opt/tocsin/bin/tocsin", *arguments, check=check)


def shown(*names: str) -> dict[str, str]:
    done = run("systemctl", "show", "tocsin.service", *(f"--property={name}" for name in names))
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def eventually(what: str, true: Callable[[], bool], seconds: float = 60) -> float:
    """Looks until it is true; returns how long that took."""
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > seconds:
            raise RuntimeError(f"not within {seconds} s: {what}")
        time.sleep(0.05)
    return time.monotonic() - began


def as_postfix_in_its_chroot(conversation: Callable[[socket.socket], list[str]], user: str = "postfix") -> list[str]:
    """Has the conversation over the LMTP socket from a process as confined as lmtp(8) is on Debian."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            entry = pwd.getpwnam(user)
            os.chroot("/var/spool/postfix")
            os.chdir("/")
            os.setgroups([])
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(60)
                sock.connect("/tocsin/lmtp")
                said = conversation(sock)
        except BaseException as error:
            said = [f"{type(error).__name__}: {error}"]
        os.write(writing, json.dumps(said).encode())
        os._exit(0)
    os.close(writing)
    with open(reading) as file:
        text = file.read()
    os.waitpid(child, 0)
    return list(json.loads(text))


def mail(text: str) -> Callable[[socket.socket], list[str]]:
    """One mail by LMTP (RFC 2033), every reply that came."""

    def conversation(sock: socket.socket) -> list[str]:
        file = sock.makefile("rwb")
        said = []

        def reply() -> None:
            while (line := file.readline().decode())[3:4] == "-":
                pass
            said.append(line.rstrip())

        reply()
        message = (
            f"From: jean@example.org\r\nTo: +32475123456@sms.example.org\r\nMessage-ID: <{time.time_ns()}@example.org>"
            f"\r\nDate: {time.strftime('%a, %d %b %Y %H:%M:%S +0000', time.gmtime())}\r\n\r\n{text}\r\n.\r\n"
        )
        for line in (
            "LHLO mx.example.org\r\n",
            "MAIL FROM:<jean@example.org>\r\n",
            "RCPT TO:<+32475123456@sms.example.org>\r\n",
            "DATA\r\n",
            message,
            "QUIT\r\n",
        ):
            file.write(line.encode())
            file.flush()
            reply()
        return said

    return conversation


def prepare() -> None:
    """What docs/install.md has the operator do."""
    Path("/etc/tocsin/tocsin.toml").write_text(CONFIGURATION)
    Path("/etc/tocsin/credentials/operator").write_text(SECRET + "\n")
    os.chmod("/etc/tocsin/credentials/operator", 0o600)
    run("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/tocsin.conf")


def first_account() -> None:
    tocsin("migrate")
    tocsin("plan", "add", "basic", "--monthly", "100")
    tocsin("account", "add", "jean", "--email", "jean@example.org", "--plan", "basic", "--zone", "Europe/Brussels")


def socket_activation(centre: Centre) -> dict[str, object]:
    run("systemctl", "start", "tocsin-lmtp.socket")
    about = os.stat(LMTP)
    before = shown("ActiveState")["ActiveState"]
    stranger = as_postfix_in_its_chroot(mail("from a stranger"), "nobody")
    replies = as_postfix_in_its_chroot(mail("The first one"))
    eventually("the SMS centre has the first one", lambda: len(centre.submitted) == 1)
    return {
        "mode": oct(about.st_mode & 0o777),
        "group": grp.getgrgid(about.st_gid).gr_name,
        "before": before,
        "stranger": stranger,
        "replies": replies,
        "passwords": list(centre.passwords),
        "unit": shown("ActiveState", "SubState", "StatusText", "NRestarts"),
        "store": pwd.getpwuid(os.stat("/var/lib/tocsin/tocsin.db").st_uid).pw_name,
    }


def the_operators_hand() -> dict[str, object]:
    """The command line as root, through the wrapper, while the service runs."""
    status = tocsin("status", "--json")
    checked = tocsin("check", check=False)
    return {"status": json.loads(status.stdout), "check": [checked.returncode, checked.stderr]}


def reload() -> dict[str, object]:
    before = shown("MainPID")["MainPID"]
    configuration = Path("/etc/tocsin/tocsin.toml")
    configuration.write_text(CONFIGURATION.replace("32475000000", "32475000001"))
    good = run("systemctl", "reload", "tocsin.service", check=False)
    eventually("the new configuration is in force", lambda: "reloaded" in actions())
    configuration.write_text(CONFIGURATION.replace("postmaster =", "postmastr ="))
    bad = run("systemctl", "reload", "tocsin.service", check=False)
    configuration.write_text(CONFIGURATION)
    replies = as_postfix_in_its_chroot(mail("After the reload"))
    journal = run("journalctl", "--unit=tocsin.service", "--output=cat", "--no-pager").stdout
    return {
        "good": [good.returncode, good.stderr],
        "bad": bad.returncode,
        "fault shown": "postmastr" in journal,
        "same process": shown("MainPID")["MainPID"] == before,
        "unit": shown("ActiveState", "SubState"),
        "replies": replies,
    }


def states() -> list[str]:
    """Those of every delivery, the newest first."""
    listed = json.loads(tocsin("message", "list", "--json").stdout)
    return [delivery["state"] for message in listed for delivery in message["deliveries"]]


def watchdog(centre: Centre) -> dict[str, object]:
    before = shown("MainPID")["MainPID"]
    eventually("the answers so far are recorded", lambda: set(states()) == {"accepted"})
    os.kill(int(before), signal.SIGSTOP)
    eventually("the watchdog restarted it", lambda: shown("NRestarts")["NRestarts"] == "1")
    # Handed over while nobody runs: the socket is systemd's, and stays.
    replies = as_postfix_in_its_chroot(mail("While it was away"))
    eventually("it serves again", lambda: shown("SubState")["SubState"] == "running")
    eventually("the SMS centre has it", lambda: len(centre.submitted) == 3)
    journal = run("journalctl", "--unit=tocsin.service", "--output=cat", "--no-pager").stdout
    return {
        "another process": shown("MainPID")["MainPID"] != before,
        "said": "Watchdog timeout" in journal,
        "replies": replies,
        "restarts": shown("NRestarts")["NRestarts"],
    }


def stop(centre: Centre) -> dict[str, object]:
    """Stopped while the SMS centre owes an answer, which then comes within the time there is."""
    answered = centre.answered
    centre.delay = 3.0
    as_postfix_in_its_chroot(mail("The last one"))
    eventually("the last one is on its way", lambda: len(centre.submitted) == 4)
    began = time.monotonic()
    run("systemctl", "stop", "tocsin-lmtp.socket", "tocsin.service")
    took = time.monotonic() - began
    return {
        "seconds": took,
        "answered": centre.answered - answered,
        "unbound": centre.unbound,
        "unit": shown("ActiveState", "Result", "ExecMainStatus"),
        "states": states(),
        "socket": os.path.exists(LMTP),
    }


def journal_entries() -> list[dict[str, object]]:
    lines = run("journalctl", "--unit=tocsin.service", "--output=json", "--all", "--no-pager").stdout.splitlines()
    return [json.loads(line) for line in lines]


def actions() -> set[str]:
    return {str(entry["TOCSIN_ACTION"]) for entry in journal_entries() if "TOCSIN_ACTION" in entry}


def journal_fields() -> dict[str, object]:
    entries = journal_entries()
    return {
        "actions": sorted(actions()),
        "identifiers": sorted({str(entry["SYSLOG_IDENTIFIER"]) for entry in entries if "TOCSIN_ACTION" in entry}),
        "secret": any(SECRET in str(entry) for entry in entries),
    }


def main() -> None:
    results = Path(sys.argv[1])
    seen: dict[str, object] = {}
    try:
        with Centre() as centre:
            threading.Thread(target=centre.serve_forever, daemon=True).start()
            prepare()
            first_account()
            seen["activation"] = socket_activation(centre)
            seen["hand"] = the_operators_hand()
            seen["reload"] = reload()
            seen["watchdog"] = watchdog(centre)
            seen["stop"] = stop(centre)
            seen["journal"] = journal_fields()
            seen["submitted"] = centre.submitted
    except Exception as error:
        seen["error"] = f"{type(error).__name__}: {error}"
    log = run("journalctl", "--no-pager", "--output=short-monotonic", check=False)
    (results / "journal.txt").write_text(log.stdout)
    (results / "seen.json").write_text(json.dumps(seen, indent=1))


main()
