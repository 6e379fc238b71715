"""What the handlers of the part's management API share: services, callers, pages, parameters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

from litestar.params import PathParameter, QueryParameter
from msgspec import Struct

from ringwork.ads.billing import Billing
from ringwork.ads.catalogue import Catalogue, page
from ringwork.ads.lifecycle import Actor
from ringwork.ads.management import Management
from ringwork.ads.service import Ads
from ringwork.kernel.errors import NotFound
from ringwork.kernel.journal import Journal
from ringwork.kernel.ledger import Ledger
from ringwork.web.app import HttpRequest, principal_of
from ringwork.web.auth import needs
from ringwork.web.execute import Executor

if TYPE_CHECKING:
    import sqlalchemy as sa

ID_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}"

PathId = Annotated[str, PathParameter(pattern=f"^{ID_PATTERN}$")]
After = Annotated[str, QueryParameter(pattern=r"^[0-9]{1,12}$", description="a cursor from `next`")]
Limit = Annotated[int, QueryParameter(ge=1, le=1000)]
IdFilter = Annotated[
    str, QueryParameter(pattern=f"^({ID_PATTERN})?$", description="only those of this one")
]
TextFilter = Annotated[
    str, QueryParameter(max_length=100, description="a part of the id or the name, in any case")
]

READ: Final = needs("catalogue:read")
WRITE: Final = needs("catalogue:write")
REVIEW_SCOPE: Final = "catalogue:review"

_Item = TypeVar("_Item")


class AdsApi(Struct, frozen=True, kw_only=True):
    """Services, memory and readers, put together by the composition root."""

    ads: Ads
    billing: Billing
    management: Management
    catalogue: Catalogue
    ledger: Ledger
    journal: Journal
    execute: Executor
    reader: sa.Engine
    """Reads the part's tables."""
    indexed: Callable[[], Awaitable[None]]
    """Resolves when what was acknowledged is durable and in the tables."""

    def actor_of(self, request: HttpRequest) -> Actor:
        """Who gives a command, and whether what it makes live needs nobody else's approval."""
        principal = principal_of(request)
        is_free = not self.ads.settings.review_required or principal.may(REVIEW_SCOPE)
        return Actor(principal.key_id, is_free)

    async def page(
        self,
        items: Mapping[str, _Item],
        after: str,
        limit: int,
        keep: Callable[[_Item], bool] | None = None,
    ) -> tuple[list[_Item], str | None]:
        """One page, durable, and the cursor of the next one; None at the end."""
        found, end = page(items, int(after), limit, keep)
        await self.journal.settled()
        return found, None if end is None else str(end)

    async def one(self, items: Mapping[str, _Item], noun: str, id: str) -> _Item:
        """One item, durable; NotFound."""
        item = items.get(id)
        if item is None:
            raise NotFound(f"no {noun} {id!r}")
        await self.journal.settled()
        return item


def status_of(is_new: bool) -> int:
    """201 for what was created, 200 for the same request again."""
    return 201 if is_new else 200


def says(q: str, *texts: str) -> bool:
    """Whether one of the texts holds ``q``, in any case; an empty ``q`` is held by all."""
    wanted = q.casefold()
    return not wanted or any(wanted in text.casefold() for text in texts)
