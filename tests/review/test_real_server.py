"""The server as a process: its address, its patience, its end, and fifty kills."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytest.importorskip("uvicorn")

ROOT = Path(__file__).parents[2]


@pytest.fixture
def start(cohort):
    """Starts servers over the cohort, which end with the test."""
    servers = []

    def begin(*more: str) -> tuple[subprocess.Popen, str]:
        command = [sys.executable, "-m", "lungscore", "review", str(cohort / "results")]
        command += ["--scans", str(cohort / "scans"), "--no-browser", "--port", "0", *more]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        servers.append(process)
        return process, process.stdout.readline().strip()

    yield begin
    for process in servers:
        process.kill()
        process.wait()


def ask(address: str, path: str, **headers: str) -> tuple[int, bytes]:
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


@pytest.mark.ci
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_stop(start, number):
    process, address = start()
    assert address.startswith("http://127.0.0.1:")
    status, body = ask(address, "/api/cases")
    assert status == 200
    assert len(json.loads(body)["cases"]) == 2
    assert ask(address, "/api/cases", Host="evil.example")[0] == 403
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in errors


@pytest.mark.ci
def test_a_port_that_is_taken_is_told(start, cohort):
    _, address = start()
    port = str(urlsplit(address).port)
    command = [sys.executable, "-m", "lungscore", "review", str(cohort / "results")]
    done = subprocess.run(
        [*command, "--no-browser", "--port", port], capture_output=True, text=True
    )
    assert done.returncode == 4
    assert "port-in-use" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.ci
def test_on_a_shared_computer_the_token_is_needed_too(start):
    _, address = start("--token")
    parts = urlsplit(address)
    assert parts.hostname == "127.0.0.1"
    assert ask(f"http://{parts.netloc}", "/api/cases")[0] == 401
    assert ask(f"http://{parts.netloc}", f"/?{parts.query}")[0] == 303


@pytest.mark.ci
def test_a_proxy_reaches_the_server_by_the_name_that_browsers_use(start):
    _, address = start("--name", "room.example")
    parts = urlsplit(address)
    assert parts.hostname == "room.example"
    base, entry = f"http://127.0.0.1:{parts.port}", f"/?{parts.query}"
    assert ask(base, entry, Host="room.example")[0] == 303
    assert ask(base, entry, Host="other.example")[0] == 403


@pytest.mark.ci
def test_another_address_needs_the_token_that_is_printed(start):
    _, address = start("--name", "localhost")
    parts = urlsplit(address)
    base = f"http://{parts.netloc}"
    assert ask(base, "/api/cases")[0] == 401
    assert ask(base, f"/?{parts.query}")[0] == 303


@pytest.mark.ci
def test_a_connection_that_says_nothing_is_given_up(cohort):
    code = (
        "import sys; from lungscore.review.server import run; run.HEAD_S = 0.5; "
        "from lungscore.cli.main import call; sys.exit(call(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "review", str(cohort / "results")]
    process = subprocess.Popen(
        [*command, "--no-browser", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        parts = urlsplit(process.stdout.readline().strip())
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        connection.connect()
        connection.sock.send(b"GET / HTTP/1.1\r\nHost: ")
        began = time.monotonic()
        assert connection.sock.recv(1000) == b""
        assert time.monotonic() - began < 30
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_fifty_kills_lose_nothing_that_was_answered(tmp_path):
    script, result = ROOT / "experiments" / "review_kills.py", tmp_path / "kills.json"
    command = [sys.executable, script, str(tmp_path / "folder"), "--kills", "50", "-o", str(result)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(result.read_text())
    assert figures["kills"] == 50
    assert figures["answered_steps"] > 100
    assert {"edit", "save"} <= set(figures["answer_awaited"])
