"""The README's first example runs as printed beside the demo."""

import re
import subprocess
import time
from pathlib import Path

import httpx

from tests.crash.server import free_port

ROOT = Path(__file__).parents[2]
START_S = 60
JSON = {"content-type": "application/json"}


def wait_for_bid(url: str, bid_request: str, demo: subprocess.Popen[bytes]) -> None:
    """The server is ready before the world has set up its campaigns: ask until one of them bids."""
    ends = time.monotonic() + START_S
    while time.monotonic() < ends and demo.poll() is None:
        try:
            answer = httpx.post(f"{url}/openrtb2/auction", content=bid_request, headers=JSON)
            if answer.status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"no bid within {START_S} s; the demo ended with {demo.poll()}")


def test_the_first_example_runs_as_printed_beside_the_demo(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    example = next(
        block
        for block in re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        if "curl" in block
    )
    bid_request = example.split("-d '")[1].split("'")[0]
    port = free_port()
    script = example.replace("8080", str(port)).replace("/tmp/bid.json", "bid.json")
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    with (tmp_path / "demo.log").open("wb") as log:
        demo = subprocess.Popen(
            [".venv/bin/ringwork", "demo", "--port", str(port)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=tmp_path, start_new_session=True,
        )  # fmt: skip
        try:
            wait_for_bid(f"http://127.0.0.1:{port}", bid_request, demo)
            ran = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", script],
                check=False, capture_output=True, text=True, cwd=tmp_path, timeout=60,
            )  # fmt: skip
        finally:
            demo.terminate()
            demo.wait(30)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert '"id":"my-first-request"' in ran.stdout
    assert "auction_cleared" in ran.stdout
    assert ran.stdout.count("holds") == 9
