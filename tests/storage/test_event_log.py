"""Every adapter of the event log passes the public suite."""

import pytest

from ringwork.testing import EVENT_LOG_CHECKS
from tests.storage.disks import MemoryHarness, RotatingHarness, SqliteHarness


@pytest.mark.parametrize("make_harness", [MemoryHarness, SqliteHarness, RotatingHarness])
@pytest.mark.parametrize("check", EVENT_LOG_CHECKS, ids=lambda check: check.__name__)
def test_event_log(check, make_harness, tmp_path):
    check(make_harness(tmp_path))
