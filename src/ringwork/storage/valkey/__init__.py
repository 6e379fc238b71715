"""Counters that machines share, in Valkey (or Redis 7): the port ``SharedCounters``."""

from ringwork.storage.valkey.counters import ValkeyCounters

__all__ = ["ValkeyCounters"]
