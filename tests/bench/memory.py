"""Memory of the daemon while twenty connections bring mails of fifty megabytes at once.

    python tests/bench/memory.py [--connections 20] [--size 50]

Prints the resident memory before, at its highest, and after, and what the highest is in sizes of the mails.
"""

from __future__ import annotations

import argparse
import base64
import os
import smtplib
import threading
from pathlib import Path

from processes import ACCOUNTS, processor_seconds, sink, submits, tocsin

MB = 1024 * 1024


def resident(pid: int, field: str) -> int:
    """A line of /proc/PID/status, in octets: `VmRSS` now, `VmHWM` the highest so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


def mail(n: int, size: int) -> bytes:
    """A mail with a short text and an attachment that makes it this large."""
    head = (
        f"From: a{n % ACCOUNTS}@example.org\r\nTo: 32475{n:06d}@sms.example.org\r\n"
        f"Message-ID: <big.{n}@load.example>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        f"--b\r\nContent-Type: text/plain\r\n\r\nbig {n}\r\n"
        "--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
        "Content-Disposition: attachment; filename=big.bin\r\n\r\n"
    )
    line = base64.b64encode(os.urandom(57)) + b"\r\n"
    return head.encode() + line * (size // len(line)) + b"\r\n--b--\r\n"


def bring(port: int, n: int, size: int) -> None:
    """Send one."""
    with smtplib.SMTP("127.0.0.1", port, timeout=300) as client:
        client.sendmail(f"a{n % ACCOUNTS}@example.org", f"32475{n:06d}@sms.example.org", mail(n, size))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--size", type=int, default=50, help="megabytes a mail")
    args = parser.parse_args()
    with sink("--by", "text") as (_, smpp, lines), tocsin(smpp, max_size=(args.size + 10) * MB) as (pid, port):
        bring(port, 0, 1000)
        before, used = resident(pid, "VmRSS"), processor_seconds(pid)
        threads = [
            threading.Thread(target=bring, args=(port, n, args.size * MB)) for n in range(1, args.connections + 1)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        submits(lines, args.connections + 1)
        highest, after, used = resident(pid, "VmHWM"), resident(pid, "VmRSS"), processor_seconds(pid) - used
    print(f"\n{args.connections} connections, {args.size} MB each, at once")
    print(f"  resident before {before / MB:.0f} MB, highest {highest / MB:.0f} MB, after {after / MB:.0f} MB")
    print(f"  the highest is {(highest - before) / (args.connections * args.size * MB):.2f} times what was brought")
    print(f"  processor time {used / args.connections:.2f} s a mail")


if __name__ == "__main__":
    main()
