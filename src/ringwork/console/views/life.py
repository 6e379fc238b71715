"""What may be done to a campaign or a creative now, as buttons; and what was done, as sentences."""

from __future__ import annotations

from typing import Final, Literal
from urllib.parse import quote

from msgspec import Struct

from ringwork.ads.lifecycle import Actor, Decision, Noun, decisions, steps
from ringwork.ads.model import Campaign, Creative

Paged = Noun | Literal["advertiser", "publisher", "invoice", "audience"]
"""What has pages of its own, one each."""

_WORDS: Final = {
    ("draft", "review"): "Send to review",
    ("draft", "active"): "Go live",
    ("rejected", "review"): "Send to review again",
    ("rejected", "draft"): "Back to draft",
    ("review", "draft"): "Take back from review",
    ("active", "paused"): "Pause",
    ("paused", "active"): "Resume",
}
_DECISIONS: Final[dict[Decision, str]] = {
    "approve": "Approve",
    "reject": "Reject",
    "return": "Return to its author",
}
DONE: Final = {
    "created": "It was created.",
    "changed": "The change was made.",
    "draft": "It is a draft again.",
    "review": "It waits for review.",
    "active": "It is live.",
    "paused": "It is paused.",
    "ended": "It has ended, for good.",
    "approve": "It was approved and is live.",
    "reject": "It was rejected; its author reads the reason.",
    "return": "It was returned to its author, who reads the reason.",
    "confirm": "It is for housing, employment or credit, and is held to their rules.",
    "clear": "It is for none of housing, employment and credit, and is shown again.",
    "lawful": "Its targeting is the lawful one, and it is shown again.",
    "issued": "It was issued.",
    "credited": "The credit note was issued.",
    "paid": "The payout was made.",
    "withdraw": "The withdrawal is recorded: what starts now uses nothing of the person for it.",
    "object": "The objection is recorded: the person must not be asked again.",
    "erase": "The person's keys are deleted and their consents ended; every no stays.",
    "override-pause": "It is paused: no shift from the next auction on. The log says who and why.",
    "override-resume": "The controller decides again. The log says who and why.",
    "override-set": "These shifts hold from the next auction on. The log says who and why.",
    "archived": "It is archived: nobody is in it from the next request on.",
}
"""What an action came to; the address carries the word, the page the sentence."""
STATES: Final = {
    "draft": ("off", "draft"),
    "review": ("open", "in review"),
    "active": ("good", "live"),
    "rejected": ("bad", "rejected"),
    "paused": ("off", "paused"),
    "ended": ("off", "ended"),
}
"""Status -> its tag and its word."""


class Step(Struct, frozen=True):
    """A button that gives another status, or a decision."""

    value: str
    text: str
    key: str
    """The form's own idempotency key."""


class Refusal(Struct, frozen=True, kw_only=True):
    """A step or a decision that was not taken, and what had been typed."""

    trouble: str
    fault: str = ""
    typed: str = ""


class Life(Struct, frozen=True, kw_only=True):
    """The forms at the head of an item's page; empty lists show nothing."""

    path: str
    """The page of the item; its forms are below it."""
    tag: str
    word: str
    reason: str
    """Why a reviewer rejected or returned it."""
    can_edit: bool
    steps: list[Step]
    end_key: str
    """The key of the form that ends it; empty where it cannot end."""
    decisions: list[Step]
    review_key: str
    trouble: str = ""
    """Why the last one was refused."""
    fault: str = ""
    """What is wrong with the reason that was typed."""
    typed: str = ""


def life(
    noun: Noun,
    item: Campaign | Creative,
    *,
    writes: bool,
    reviews: bool,
    actor: Actor,
    key: str,
    refused: Refusal | None = None,
) -> Life:
    """What this visitor may do; ``key`` is new for every page."""
    status, reason = item.status, item.review_reason
    tag, word = STATES[status]
    possible = steps(noun, status, actor) if writes else ()
    decided = decisions(status) if reviews else ()
    return Life(
        path=item_href(noun, item.id),
        tag=tag,
        word=word,
        reason=reason if status in ("rejected", "draft") else "",
        can_edit=writes and status != "ended",
        steps=[
            Step(one, _WORDS[status, one], f"{key}.{one}") for one in possible if one != "ended"
        ],
        end_key=f"{key}.ended" if "ended" in possible else "",
        decisions=[Step(one, _DECISIONS[one], "") for one in decided],
        review_key=f"{key}.decide",
        trouble=refused.trouble if refused else "",
        fault=refused.fault if refused else "",
        typed=refused.typed if refused else "",
    )


def item_href(noun: Paged, id: str) -> str:
    """The page of one item."""
    return f"/console/{noun}s/{quote(id, safe='')}"
