"""The life of campaigns and creatives: which status may follow which, and who may say so. Pure.

::

    draft ──> review ──> active <──> paused        a campaign may end from anywhere, and stays so
      ^         │  └───> rejected
      └─────────┴────────────┘

What waits for review leaves it by a reviewer's decision (``decide``) or back into its author's
hands as a draft. Where the platform asks for no review, or the author may approve, a draft may go
live at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct

from ringwork.kernel.errors import Conflict

Noun = Literal["campaign", "creative"]
Decision = Literal["approve", "reject", "return"]

_STEPS: Final[Mapping[str, tuple[str, ...]]] = {
    "draft": ("review", "active"),
    "review": ("draft",),
    "active": ("paused",),
    "rejected": ("draft", "review"),
    "paused": ("active",),
}
"""What an author may do; only campaigns end."""

_DECIDED: Final[Mapping[Decision, tuple[str, frozenset[str]]]] = {
    "approve": ("active", frozenset({"review", "rejected"})),
    "reject": ("rejected", frozenset({"review", "active", "paused"})),
    "return": ("draft", frozenset({"review"})),
}
"""Decision -> the status that it gives, and those that it may be taken in.

What is live may be rejected: a reviewer who was wrong, or misled, takes it down.
"""


class Actor(Struct, frozen=True):
    """Who gives a command; by default the platform itself, or the program that embeds it."""

    id: str = ""
    """As the events keep it: an API key's id, ``console``, ``local``, or nothing."""
    may_approve: bool = True
    """Whether what it makes live needs nobody else's approval."""


PLATFORM: Final = Actor()


def check_first(noun: Noun, status: str, actor: Actor) -> None:
    """Refuse a status to be created in: live without the approval that the platform asks for."""
    if status == "active" and not actor.may_approve:
        raise _unreviewed(f"the {noun}", "create it with the status draft or review")


def steps(noun: Noun, now: str, actor: Actor) -> tuple[str, ...]:
    """The statuses that an author may give it from here."""
    if now == "ended":
        return ()
    return tuple(
        one
        for one in _next(noun, now)
        if not (now == "draft" and one == "active" and not actor.may_approve)
    )


def decisions(now: str) -> tuple[Decision, ...]:
    """What a reviewer may decide on it now."""
    return tuple(one for one, (_, among) in _DECIDED.items() if now in among)


def check_step(noun: Noun, id: str, now: str, wanted: str, actor: Actor) -> None:
    """Refuse a step that an author cannot take; the text says which can be."""
    if wanted == now:
        return
    if now == "ended":
        raise Conflict("campaign-ended", f"campaign {id!r} has ended; create a new one")
    allowed = _next(noun, now)
    if wanted not in allowed:
        raise Conflict("status-refused", _refusal(noun, id, now, wanted, allowed))
    if now == "draft" and wanted == "active" and not actor.may_approve:
        raise _unreviewed(f"{noun} {id!r}", "send it to review: change its status to review")


def decide(noun: Noun, id: str, now: str, decision: Decision) -> str:
    """The status that a reviewer's decision gives; Conflict where there is nothing to decide."""
    status, decided_in = _DECIDED[decision]
    if now in decided_in or now == status:
        return status
    possible = [one for one, (_, among) in _DECIDED.items() if now in among]
    hint = f"it can be decided on with {' or '.join(possible)}" if possible else "nothing to decide"
    raise Conflict("status-refused", f"{noun} {id!r} is {_now(now)}: {hint}")


def check_edit(noun: Noun, id: str, now: str, wanted: str, actor: Actor) -> None:
    """Refuse to change what a reviewer is looking at: what is approved is what was seen."""
    if now == wanted == "review" and not actor.may_approve:
        text = f"{noun} {id!r} is in review: take it back (status draft) to change what it shows"
        raise Conflict("status-refused", text)


def after_change(now: str, *, is_reviewed_content: bool, actor: Actor) -> str:
    """The status after an edit: what was approved and then changed waits for approval again."""
    needs_review = is_reviewed_content and not actor.may_approve
    return "review" if needs_review and now in ("active", "paused") else now


def _next(noun: Noun, now: str) -> tuple[str, ...]:
    return (*_STEPS[now], "ended") if noun == "campaign" else _STEPS[now]


def _refusal(noun: Noun, id: str, now: str, wanted: str, allowed: tuple[str, ...]) -> str:
    text = f"{noun} {id!r} is {_now(now)} and cannot become {wanted}"
    if now == "review" and wanted in ("active", "rejected"):
        path = f"/v1/{noun}s/{id}/review"
        return f"{text} by its author: POST {path} decides (scope catalogue:review)"
    return f"{text}; from here it can become {', '.join(allowed)}"


def _unreviewed(what: str, hint: str) -> Conflict:
    text = f"{what} cannot go live without a review on this platform (ads.review_required); {hint}"
    return Conflict("review-required", text)


def _now(status: str) -> str:
    return {"draft": "a draft", "review": "in review"}.get(status, status)
