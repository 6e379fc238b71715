"""Public conformance suites: plain functions that the author of any adapter can run.

Each suite states what its port promises, tries it through the port alone, and raises AssertionError
where the promise is broken. They need no test runner.
"""

from ringwork.testing.check_event_log import EVENT_LOG_CHECKS, LogHarness, check_event_log
from ringwork.testing.check_keystore import KEYSTORE_CHECKS, check_keystore
from ringwork.testing.check_ledger import (
    LedgerUnderTest,
    check_ledger,
    compare_with_oracle,
    decode_scenarios,
    play_scenario,
)
from ringwork.testing.check_snapshots import SNAPSHOTS_CHECKS, check_snapshots

__all__ = [
    "EVENT_LOG_CHECKS",
    "KEYSTORE_CHECKS",
    "SNAPSHOTS_CHECKS",
    "LedgerUnderTest",
    "LogHarness",
    "check_event_log",
    "check_keystore",
    "check_ledger",
    "check_snapshots",
    "compare_with_oracle",
    "decode_scenarios",
    "play_scenario",
]
