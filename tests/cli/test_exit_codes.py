"""What ends a command, as a code for scripts and a sentence for people."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from ringwork.app.call import Reply
from ringwork.cli import verify
from ringwork.cli.answer import answer_of
from ringwork.cli.main import exit_code_of, run
from ringwork.kernel.errors import (
    Busy,
    ConfigurationError,
    Conflict,
    LogCorrupt,
    NotFound,
    Overloaded,
    Refused,
    RingworkError,
    SealBroken,
    StorageFull,
)
from tests.cli.conftest import Ringwork


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("x"), 2),
        (NotFound("x"), 2),
        (Conflict("x", "y"), 2),
        (RingworkError("x"), 2),
        (FileNotFoundError(), 2),
        (PermissionError(), 2),
        (LogCorrupt("file", 1, "x"), 3),
        (SealBroken("x"), 3),
        (StorageFull("x"), 3),
        (OSError(5, "Input/output error"), 3),
        (OSError(28, "No space left on device"), 3),
        (sqlite3.DatabaseError("x"), 3),
        (sa.exc.OperationalError("x", None, sqlite3.OperationalError("x")), 3),
        (Busy("x"), 4),
        (Overloaded("x"), 4),
        (ConnectionResetError(), 4),
        (ValueError("a mistake of ours"), None),
        (AssertionError(), None),
    ],
)
def test_exit_code_of(error: Exception, code: int | None) -> None:
    assert exit_code_of(error) == code


def problem(status: int, slug: str, **members: object) -> Reply:
    body = {"type": f"urn:ringwork:problem:{slug}", "title": "T", "detail": "what it is", **members}
    return Reply(status, msgspec.json.encode(body))


def test_answer_of() -> None:
    assert answer_of(Reply(200, b'{"a":1}')) == {"a": 1}
    assert answer_of(Reply(204, b"")) is None
    fault = {"pointer": "/name", "detail": "too long"}
    for reply, kind, text in (
        (problem(404, "not-found"), Refused, "not-found: what it is"),
        (problem(422, "invalid", errors=[fault]), Refused, "what it is\n  /name: too long"),
        (problem(503, "overloaded"), Busy, "what it is"),
        (problem(503, "storage-full"), StorageFull, "what it is"),
        (problem(500, "internal"), RingworkError, "the server failed: what it is"),
        (Reply(502, b"<html>"), RingworkError, "status 502"),
        (Reply(400, b"[]"), Refused, "status 400"),
    ):
        with pytest.raises(kind) as raised:
            answer_of(reply)
        assert text in str(raised.value)


def test_ctrl_c_ends_with_130(ringwork: Ringwork, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(verify, "store_of", interrupted)
    assert ringwork("verify") == (130, "", "")


def test_who_stops_reading_is_no_failure(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ringwork", "config", "show", "--json"]
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run(
        command, cwd=tmp_path, stdout=writes, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writes)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_mistake_of_ours_keeps_its_traceback(
    ringwork: Ringwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(settings: object) -> None:
        raise ValueError("ours")

    monkeypatch.setattr(verify, "store_of", mistaken)
    with pytest.raises(ValueError, match="ours"):
        run(["verify"])
