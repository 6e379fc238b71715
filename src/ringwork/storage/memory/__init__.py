"""Storage in memory, for tests and embedding; it passes the suites of ``ringwork.testing``."""

from ringwork.storage.memory.keys import MemoryKeyStore
from ringwork.storage.memory.log import MemoryEventLog
from ringwork.storage.memory.snapshots import MemorySnapshots

__all__ = ["MemoryEventLog", "MemoryKeyStore", "MemorySnapshots"]
