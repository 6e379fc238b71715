"""The command line in this process: its exit code, what it printed and what it said on stderr."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from ringwork.cli.main import run


class Done(NamedTuple):
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        """The standard output as JSON lines; nothing else may be there."""
        return [msgspec.json.decode(line) for line in self.out.splitlines()]


Ringwork = Callable[..., Done]


@pytest.fixture
def ringwork(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Ringwork:
    """Run one command in an empty folder, without a terminal."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("RINGWORK_"):
            monkeypatch.delenv(name)

    def call(*tokens: str) -> Done:
        capsys.readouterr()
        code = run(tokens)
        return Done(code, *capsys.readouterr())

    return call


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data directory that commands use by default."""
    return tmp_path / "ringwork-data"
