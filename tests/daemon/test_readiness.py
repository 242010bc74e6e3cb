"""Readiness over a real datagram socket, socket activation by systemd's own tool."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.readiness import ActivationError, ServiceManager


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(5)
        yield sock


def said(manager: socket.socket) -> list[str]:
    return manager.recv(4096).decode().split("\n")


def test_it_says_ready_with_its_status(manager: socket.socket) -> None:
    ServiceManager({"NOTIFY_SOCKET": manager.getsockname()}).ready("2 routes up")
    assert said(manager) == ["READY=1", "STATUS=2 routes up"]


def test_it_speaks_to_an_abstract_socket() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        name = f"tocsin-test-{os.getpid()}-{time.monotonic_ns()}"
        sock.bind("\0" + name)
        sock.settimeout(5)
        ServiceManager({"NOTIFY_SOCKET": "@" + name}).stopping()
        assert said(sock) == ["STOPPING=1"]


def test_a_status_is_one_line_and_cannot_carry_an_assignment(manager: socket.socket) -> None:
    ServiceManager({"NOTIFY_SOCKET": manager.getsockname()}).status("operator is down:\nREADY=1\r\n")
    assert said(manager) == ["STATUS=operator is down: READY=1"]


def test_a_reload_carries_the_monotonic_time_in_microseconds(manager: socket.socket) -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    ServiceManager({"NOTIFY_SOCKET": manager.getsockname()}).reloading()
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    reloading, moment = said(manager)
    assert reloading == "RELOADING=1"
    name, _, value = moment.partition("=")
    assert name == "MONOTONIC_USEC"
    assert before <= int(value) <= after


async def test_it_gives_signs_of_life_at_half_the_watchdogs_time(manager: socket.socket) -> None:
    service = ServiceManager({"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "100000"})
    assert service.watchdog == pytest.approx(0.05)
    task = asyncio.create_task(service.keep_alive())
    began = time.monotonic()
    for _ in range(4):
        assert await asyncio.to_thread(said, manager) == ["WATCHDOG=1"]
    assert 0.14 < time.monotonic() - began < 2
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    "environment",
    [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "often"}, {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}],
)
async def test_a_watchdog_that_is_off_or_another_process_is_not_fed(environment: dict[str, str]) -> None:
    service = ServiceManager(environment)
    assert service.watchdog is None
    await asyncio.wait_for(service.keep_alive(), 5)


def test_the_watchdog_of_this_very_process_is_fed() -> None:
    assert ServiceManager({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}).watchdog == 1.5


def test_its_variables_are_taken_out_of_the_environment() -> None:
    environment = {
        "NOTIFY_SOCKET": "@nobody",
        "WATCHDOG_USEC": "1",
        "WATCHDOG_PID": "1",
        "LISTEN_FDS": "1",
        "LISTEN_FDNAMES": "lmtp",
        "LISTEN_PID": "1",
        "HOME": "/root",
    }
    ServiceManager(environment)
    assert environment == {"HOME": "/root"}


def test_without_a_service_manager_nothing_happens() -> None:
    service = ServiceManager({})
    service.ready("serving")
    service.reloading()
    service.alive()
    service.stopping()
    assert service.sockets() == {}


def test_a_service_manager_that_is_gone_is_logged_and_not_raised(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()
    assert [getattr(record, "action", None) for record in caplog.records] == ["notify_failed"]


def test_sockets_meant_for_another_process_are_left_alone() -> None:
    assert ServiceManager({"LISTEN_FDS": "1", "LISTEN_PID": "1"}).sockets() == {}


# What follows runs in a process of its own: descriptors are handed over from number 3 on.

HANDED_OVER = """
    import os, sys
    from daemon.readiness import ActivationError, ServiceManager
    service = ServiceManager()
    try:
        found = service.sockets()
    except ActivationError as error:
        sys.exit(f"refused: {error}")
    for name, socks in found.items():
        for sock in socks:
            print(name, sock.getsockname(), sock.getblocking(), os.get_inheritable(sock.fileno()))
    print("again", service.sockets(), "LISTEN_FDS" in os.environ)
"""


def hand_over(descriptors: list[int], names: str | None) -> subprocess.CompletedProcess[str]:
    """Runs the process above with these descriptors as 3, 4 … as execve(2) after systemd's preparation would."""
    prepare = f"""
        import fcntl, os, sys
        above = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in {descriptors!r}]
        for number, fd in enumerate(above, 3):
            os.dup2(fd, number, inheritable=True)
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(above)))
        names = {names!r}
        if names is not None:
            os.environ["LISTEN_FDNAMES"] = names
        os.execv(sys.executable, [sys.executable, "-c", {textwrap.dedent(HANDED_OVER)!r}])
    """
    command = [sys.executable, "-c", textwrap.dedent(prepare)]
    return subprocess.run(command, pass_fds=descriptors, capture_output=True, text=True, timeout=30, check=False)


def test_listening_sockets_come_by_their_names(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        with socket.socket(socket.AF_UNIX) as lmtp:
            lmtp.bind(str(tmp_path / "lmtp"))
            lmtp.listen()
            done = hand_over([first.fileno(), second.fileno(), lmtp.fileno()], "smtp:smtp:lmtp")
        assert done.stdout.splitlines() == [
            f"smtp {first.getsockname()} False False",
            f"smtp {second.getsockname()} False False",
            f"lmtp {tmp_path}/lmtp False False",
            "again {} False",
        ]


def test_a_socket_without_a_name_is_called_unknown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert hand_over([server.fileno()], None).stdout.startswith("unknown ")


def test_what_does_not_listen_is_refused_in_plain_words(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram, open(tmp_path / "file", "w") as file:
        datagram.bind(("127.0.0.1", 0))
        refused = hand_over([datagram.fileno()], "smtp")
        assert "descriptor 3 (smtp) handed over does not listen for connections" in refused.stderr
        refused = hand_over([file.fileno()], "lmtp")
        assert "descriptor 3 (lmtp) handed over is no socket" in refused.stderr


def test_a_count_that_is_no_number_is_refused() -> None:
    with pytest.raises(ActivationError, match="'two' and not a number"):
        ServiceManager({"LISTEN_FDS": "two", "LISTEN_PID": str(os.getpid())}).sockets()


@pytest.mark.peer("systemd-socket-activate")
def test_systemds_own_tool_hands_its_sockets_over(tmp_path: Path) -> None:
    tool = shutil.which("systemd-socket-activate")
    if tool is None:
        if os.environ.get("CI") == "true":
            pytest.fail("systemd-socket-activate is absent: make peers")
        pytest.skip("systemd-socket-activate is absent: make peers")
    path = tmp_path / "lmtp"
    command = [tool, f"--listen={path}", "--fdname=lmtp", sys.executable, "-c", textwrap.dedent(HANDED_OVER)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        while "Listening on" not in (line := process.stderr.readline()):
            assert line, "systemd-socket-activate ended before it listened"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            output, _ = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
    assert output.splitlines() == [f"lmtp {path} False False", "again {} False"]
