"""The OpenAPI document against the real server: every operation, all phases, all checks (schemathesis)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx

from ringwork.app.call import call
from ringwork.app.settings import Settings
from tests.crash.server import Server

HERE = Path(__file__).parent
ENDLESS = "/v1/log/stream"  # a stream has no end to wait for; test_stream.py reads it
LINES = "/v1/import"  # lines of JSON have no schema that the fuzzer knows; tests/ads has its tests


def test_contract_fuzz(tmp_path: Path) -> None:
    settings = Settings(data=str(tmp_path / "data"))
    token = call(settings, "POST", "/v1/keys", {"role": "admin"}).json["token"]
    server = Server(tmp_path / "data")
    server.start()
    try:
        run = subprocess.run(
            [
                sys.executable, "-m", "schemathesis.cli",
                "--config-file", str(HERE / "schemathesis.toml"),
                "run", f"{server.url}/openapi.json",
                "--header", f"Authorization: Bearer {token}",
                "--exclude-path", ENDLESS, "--exclude-path", LINES,
                "--max-examples", "12", "--seed", "1", "--checks", "all",
                "--phases", "examples,coverage,fuzzing,stateful",
                "--generation-database", "none", "--no-color",
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.app.contract_hooks", "PYTHONPATH": str(HERE.parents[1])},
        )  # fmt: skip
        assert run.returncode == 0, run.stdout[-6000:]
        assert re.search(r"(\d{3,}) generated, \1 passed", run.stdout), run.stdout[-2000:]
        assert httpx.get(f"{server.url}/readyz").status_code == 200
    finally:
        assert server.terminate() == 0
    assert '"level": "error"' not in server.lines
