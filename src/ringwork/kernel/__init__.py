"""Ids, money, time, randomness, events, ledger rules and ports: what every part stands on.

Standard library and msgspec only; importing it loads nothing heavy.
"""
