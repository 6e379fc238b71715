"""Contact importing: who of my address book is here, without telling anybody who is here.

Usable alone:

    from ringwork.gate.contacts import ContactGuard, ContactPolicy, SyncRequest
    guard = ContactGuard(
        ContactPolicy.preset("mutual"), directory=directory, clock=clock, entropy=entropy
    )
    guard.sync(SyncRequest(account=17, numbers=["+4915112345678"])).matches
"""

from ringwork.gate.contacts.guard import ContactGuard
from ringwork.gate.contacts.model import (
    ContactDirectory,
    ContactPolicy,
    ContactStore,
    Judged,
    Match,
    SyncAnswer,
    SyncRequest,
)

__all__ = [
    "ContactDirectory",
    "ContactGuard",
    "ContactPolicy",
    "ContactStore",
    "Judged",
    "Match",
    "SyncAnswer",
    "SyncRequest",
]
