"""What the handlers of the part's management API work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from ringwork.ads.catalogue import Catalogue
from ringwork.ads.management import Management
from ringwork.ads.service import Ads
from ringwork.kernel.journal import Journal
from ringwork.kernel.ledger import Ledger
from ringwork.web.execute import Executor

if TYPE_CHECKING:
    import sqlalchemy as sa


class AdsApi(Struct, frozen=True, kw_only=True):
    """Services, memory and readers, put together by the composition root."""

    ads: Ads
    management: Management
    catalogue: Catalogue
    ledger: Ledger
    journal: Journal
    execute: Executor
    reader: sa.Engine
    """Reads the part's tables."""
    indexed: Callable[[], Awaitable[None]]
    """Resolves when what was acknowledged is durable and in the tables."""


def status_of(is_new: bool) -> int:
    """201 for what was created, 200 for the same request again."""
    return 201 if is_new else 200
