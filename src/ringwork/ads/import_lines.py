"""What a bulk import is written in: its lines and its bounds, and what is answered."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from msgspec import Struct

from ringwork.ads.requests import (
    NewAdvertiser,
    NewCampaign,
    NewCreative,
    NewPlacement,
    NewPublisher,
    NewSite,
)
from ringwork.web.problems import Problem

IMPORT_MAX_BYTES: Final = 4 * 1024 * 1024
"""What one request may bring; a file is sent in as many requests as it takes."""
IMPORT_LINES_MAX: Final = 5_000
"""Lines of one request: about a second of work, and an answer of half a megabyte at most."""


class AdvertiserLine(
    NewAdvertiser, frozen=True, kw_only=True, forbid_unknown_fields=True,
    tag_field="type", tag="advertiser",
):  # fmt: skip
    """An advertiser to register."""


class PublisherLine(
    NewPublisher, frozen=True, kw_only=True, forbid_unknown_fields=True,
    tag_field="type", tag="publisher",
):  # fmt: skip
    """A publisher to register."""


class SiteLine(
    NewSite, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="site"
):
    """A site to register."""


class PlacementLine(
    NewPlacement, frozen=True, kw_only=True, forbid_unknown_fields=True,
    tag_field="type", tag="placement",
):  # fmt: skip
    """A placement to create."""


class CampaignLine(
    NewCampaign, frozen=True, kw_only=True, forbid_unknown_fields=True,
    tag_field="type", tag="campaign",
):  # fmt: skip
    """A campaign to create; its advertiser has paid in before."""


class CreativeLine(
    NewCreative, frozen=True, kw_only=True, forbid_unknown_fields=True,
    tag_field="type", tag="creative",
):  # fmt: skip
    """A creative to create."""


Line: TypeAlias = (
    AdvertiserLine | PublisherLine | SiteLine | PlacementLine | CampaignLine | CreativeLine
)
LINES: Final = (
    AdvertiserLine, PublisherLine, SiteLine, PlacementLine, CampaignLine, CreativeLine,
)  # fmt: skip
"""Every type of line."""

LineStatus = Literal["created", "exists", "refused"]


class ImportedLine(Struct, omit_defaults=True):
    """What became of one line; ``line`` counts from 1, empty ones included."""

    line: int
    status: LineStatus
    id: str
    """Empty where the line says none that can be read."""
    problem: Problem | None = None
    """Why it was refused: what the single POST would have answered."""


class Imported(Struct):
    """What became of an import: of every line that is not empty, in order."""

    created: int
    exists: int
    refused: int
    lines: list[ImportedLine]
