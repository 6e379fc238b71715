"""``ringwork erase``: make a person's members unreadable.

And prove it by reading every store again.
"""

from __future__ import annotations

from ringwork.app.call import call, store_of
from ringwork.cli.answer import answer_of
from ringwork.cli.options import DEFAULTS, Options


def erase(subject: str, /, *, options: Options = DEFAULTS) -> int:
    """Delete a subject's keys and print the proof; exit 1 if anything can still be read.

    Example: ringwork erase customer/4711

    Parameters
    ----------
    subject:
        advertiser/ID for an account contact, customer/REFERENCE for a conversion's customer,
        person/ID for somebody in the consent ledger.
    """
    settings = options.settings()
    store_of(settings)
    made = answer_of(call(settings, "POST", "/v1/erasures", {"subject": subject}))
    proof = answer_of(call(settings, "GET", f"/v1/erasures/{made['id']}"))
    lines = [
        f"{subject}: {proof['keys_deleted']} keys deleted, recorded as event {proof['event_seq']}"
    ]
    lines += [
        f"  {one['store']}: {one['found']} places found, {one['readable']} readable"
        for one in proof["searched"]
    ]
    lines.append("nothing can be read" if proof["holds"] else "SOMETHING CAN STILL BE READ")
    options.show(proof, "\n".join(lines))
    return 0 if proof["holds"] else 1
