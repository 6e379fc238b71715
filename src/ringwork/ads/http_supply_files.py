"""The public files of a seller: ``/ads.txt``, ``/app-ads.txt`` and ``/sellers.json``.

A publisher's ads.txt lies on its own domain. It may redirect to ours, which has every line that it
needs: ``/ads.txt?publisher=ID``. Without a publisher the file declares the places of the platform's
own domain: those of the publishers that have that domain.
"""

from __future__ import annotations

from typing import Annotated, Final

from litestar import Response, get
from litestar.params import QueryParameter
from litestar.types import ControllerRouterHandler

from ringwork.ads.catalogue import Catalogue
from ringwork.ads.model import Publisher
from ringwork.ads.supply import ads_txt, sellers_json
from ringwork.ads.supply.ads_txt import AdsTxt, Record
from ringwork.ads.supply.sellers_json import Identifier, SellersJson
from ringwork.ads.supply.settings import SupplySettings
from ringwork.kernel.errors import NotFound
from ringwork.web.openapi import described

MAX_AGE_S: Final = 3600
"""Crawlers ask once a day; a publisher that was just registered should not wait as long."""

PublisherId = Annotated[str, QueryParameter(name="publisher", max_length=64)]

_KEPT: Final = {"cache-control": f"public, max-age={MAX_AGE_S}"}


class SupplyFiles:
    """Writes the files, and again only when a publisher has changed: anyone may ask for them."""

    def __init__(self, catalogue: Catalogue, settings: SupplySettings, *, domain: str) -> None:
        """``domain``: the platform's own, where the settings name none.

        ValueError for settings that no file could hold.
        """
        self._catalogue = catalogue
        self._settings = settings
        self.domain = settings.domain or domain
        self._generation = -1
        self._written: dict[str, str] = {}
        """Publisher -> its ads.txt."""
        self._sellers: bytes | None = None
        own = Record(self.domain, "placeholder", "DIRECT", settings.certification)
        ads_txt.write(AdsTxt(records=tuple(dict.fromkeys((own, *settings.records)))))

    def ads_txt(self, publisher_id: str = "") -> str:
        """The file of a publisher, or of the platform's own domain; NotFound."""
        self._follow()
        publishers = self._catalogue.publishers
        if publisher_id and publisher_id not in publishers:
            raise NotFound(f"no publisher {publisher_id!r}")
        text = self._written.get(publisher_id)
        if text is None:
            if publisher_id:
                publisher = publishers[publisher_id]
                text = self._write(publisher.domain, [publisher])
            else:
                own = [one for one in publishers.values() if one.domain == self.domain]
                text = self._write(self.domain, own)
            self._written[publisher_id] = text
        return text

    def sellers_json(self) -> bytes:
        """The file of all publishers."""
        self._follow()
        if self._sellers is None:
            settings = self._settings
            certified = (Identifier("TAG-ID", settings.certification),)
            file = sellers_json.of_publishers(
                self._catalogue.publishers.values(),
                contact_email=settings.contact_email,
                contact_address=settings.contact_address,
                identifiers=certified if settings.certification else (),
            )
            self._sellers = sellers_json.write(file)
        return self._sellers

    def _follow(self) -> None:
        if self._generation != self._catalogue.publishers_generation:
            self._generation = self._catalogue.publishers_generation
            self._written.clear()
            self._sellers = None

    def _write(self, owner: str, publishers: list[Publisher]) -> str:
        """A DIRECT record for every publisher, and the further systems for what they sell."""
        own = [
            Record(self.domain, one.id, "DIRECT", self._settings.certification)
            for one in publishers
        ]
        others = self._settings.records if own else []
        records = tuple(dict.fromkeys((*own, *others)))
        # A publisher may be registered under what is no public domain; then nobody owns it.
        return ads_txt.write(
            AdsTxt(records=records, owner=owner if ads_txt.is_domain(owner) else "")
        )


def supply_file_routes(files: SupplyFiles) -> list[ControllerRouterHandler]:
    """The handlers; anyone may read them."""

    @get(["/ads.txt", "/app-ads.txt"], sync_to_thread=False, opt={"open": True})
    def read_ads_txt(publisher_id: PublisherId = "") -> Response[str]:
        """Who may sell the places of a publisher (IAB ads.txt 1.1)."""
        media_type = "text/plain"
        return Response(files.ads_txt(publisher_id), media_type=media_type, headers=_KEPT)

    @get("/sellers.json", sync_to_thread=False, opt={"open": True, **described(SellersJson)})
    def read_sellers_json() -> Response[bytes]:
        """Whom the platform pays for what it sells (IAB sellers.json 1.0)."""
        return Response(files.sellers_json(), media_type="application/json", headers=_KEPT)

    return [read_ads_txt, read_sellers_json]
