"""What a publisher's server asks of the choice page with its key: links, and texts shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final
from urllib.parse import urlencode

from litestar import get, post
from litestar.params import JSONBody, PathParameter
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from ringwork.consent.choice.events import NoticePublished
from ringwork.consent.choice.showings import Showings
from ringwork.consent.choice.visits import LINK_VALID_S, Visit, Visits
from ringwork.kernel.errors import NotFound
from ringwork.kernel.journal import Journal
from ringwork.web.auth import needs


class ChoiceLink(Struct, frozen=True):
    """Addresses that stand for one person, for a day."""

    link: str
    """For the tag: `data-ringwork-link`."""
    choice: str
    """Where the person is asked, if asking is right."""
    mine: str
    """Where the person sees what holds, and changes it."""
    valid_until_us: int


class ShownNotice(Struct, frozen=True):
    """A text that people saw before they decided."""

    sha256: str
    version: str
    """Of the locale's words."""
    locale: str
    text: str


SLUGS: Final[Mapping[str, tuple[int, str]]] = {
    "form-too-old": (409, "The form of the choice page is more than an hour old: open it again."),
}
"""The choice page's own slugs: status, and when it is answered."""

TYPES: Final[tuple[type[Struct], ...]] = (Visit, ChoiceLink, ShownNotice)


def choice_routes(
    visits: Visits, showings: Showings, journal: Journal, public_url: str
) -> list[ControllerRouterHandler]:
    """The handlers of the management API."""

    @post("/v1/choice/links", opt=needs("consent:write"), sync_to_thread=False)
    def make_link(data: JSONBody[Visit]) -> ChoiceLink:
        """A link for a person by your own id. It is the person's key: give it to nobody else."""
        now_us = journal.clock.wall_us()
        link = visits.link(visits.check(data), now_us=now_us)
        query = urlencode({"link": link})
        return ChoiceLink(
            link,
            f"{public_url}/choice?{query}",
            f"{public_url}/choice/mine?{query}",
            (now_us // 1_000_000 + LINK_VALID_S) * 1_000_000,
        )

    @get("/v1/consent-notices/{sha256:str}", opt=needs("consent:read"))
    async def read_notice(
        sha256: Annotated[str, PathParameter(pattern="^[0-9a-f]{64}$")],
    ) -> ShownNotice:
        """The text that a consent refers to by its hash."""
        await journal.settled()
        seq = showings.notices.get(sha256)
        recorded = None if seq is None else journal.event_at(seq)
        if recorded is None or not isinstance(recorded.payload, NoticePublished):
            raise NotFound(f"no notice {sha256} was shown, or the log file with it was removed")
        event = recorded.payload
        return ShownNotice(event.notice, event.version, event.locale, event.text)

    return [make_link, read_notice]
