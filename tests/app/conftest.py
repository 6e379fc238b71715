"""A shop for tests that start real servers: made once, copied by each test."""

import shutil
from pathlib import Path

import pytest

from tests.crash.shop import open_shop


@pytest.fixture(scope="session")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A stopped directory with a shop in it, and its key; made once, copied by each test."""
    data = tmp_path_factory.mktemp("shop") / "data"
    return data, open_shop(data, 4_000_000_000)


@pytest.fixture
def data(stocked: tuple[Path, str], tmp_path: Path) -> Path:
    return Path(shutil.copytree(stocked[0], tmp_path / "data"))


@pytest.fixture
def token(stocked: tuple[Path, str]) -> str:
    return stocked[1]
