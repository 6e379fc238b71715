"""What one request has sold so far, and what therefore may not be sold in its next slot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ringwork.ads.priorities import Turns

if TYPE_CHECKING:
    from ringwork.ads.index import Contender
    from ringwork.kernel.steering import Steered


class Page:
    """The slots of one request, while they are sold one after the other."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.sold: list[Contender] = []
        """In the order of the slots."""
        self.knows_viewer = True
        """Whether the request names its visit, or a grant its person.

        Else no frequency cap can hold.
        """
        self.barred: dict[str, str] = {}
        """Campaign -> why it takes no part in this request."""
        self.roadblock = ""
        """The campaign that took the first slot for itself and all others, if one did."""
        self.explores = False
        """Whether this request draws its chances instead of believing the model."""
        self.propensity_ppb = 0
        """Of the slot at hand: the chance, in 1e-9, that the drawn winner had of winning."""
        self.audiences: tuple[str, ...] = ()
        """Whom the page goes to, as audiences; only a consenting person's grant opens any."""
        self.reads: Mapping[str, int] = {}
        """What personal data the request has read (``reads``); nothing without a grant."""
        self.cluster = -1
        """What the request may be decided on, in one coarse number (``kernel.steering``)."""
        self.steered: list[Steered] = []
        """The auctions that another part could move, in their order."""
        self._groups: dict[str, list[Contender]] = {}

    def bar(self, campaign_id: str, reason: str) -> None:
        """Keep a campaign out of the slots to come; the first reason stays."""
        self.barred.setdefault(campaign_id, reason)

    def sell(self, group: str, contender: Contender) -> None:
        """A slot of ``group`` (none where it is empty) shows the ad."""
        if contender.campaign.roadblock and not self.sold:
            self.roadblock = contender.campaign.id
        self.sold.append(contender)
        if group:
            self._groups.setdefault(group, []).append(contender)

    def labels(self) -> list[str]:
        """Competitive exclusion: the labels of what the page shows."""
        return [label for one in self.sold for label in one.campaign.exclusion_labels]

    def of_group(self, group: str) -> list[Contender]:
        """What was sold in a group of slots that must not repeat themselves."""
        return self._groups.get(group, []) if group else []
