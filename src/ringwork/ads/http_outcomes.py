"""The management API of ads: conversions, why an ad at its price, and the billing totals."""

from __future__ import annotations

import asyncio

from litestar import Response, get, post
from litestar.params import JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Struct, UnsetType

from ringwork.ads import projections
from ringwork.ads.budgets import CAMPAIGN_PREFIX, PUBLISHER_PREFIX
from ringwork.ads.events import AuctionCleared
from ringwork.ads.http_api import AdsApi, status_of
from ringwork.ads.outside import BIDDER_PREFIX
from ringwork.ads.requests import NewConversion
from ringwork.ads.tokens import Claim
from ringwork.ads.views import Conversion, LedgerTotals, Why
from ringwork.kernel.errors import Conflict, Fault, Invalid, NotFound
from ringwork.kernel.ids import format_id, parse_id
from ringwork.kernel.journal import Command
from ringwork.kernel.money import Money
from ringwork.web.app import HttpRequest, run_command
from ringwork.web.auth import needs
from ringwork.web.openapi import UuidText, described


def outcome_routes(api: AdsApi) -> list[ControllerRouterHandler]:
    """Every handler about what became of sales."""

    @post(
        "/v1/conversions",
        opt={**needs("outcomes:write"), **described(Conversion, key="optional")},
    )
    async def report_conversion(
        request: HttpRequest, data: JSONBody[NewConversion]
    ) -> Response[bytes]:
        """Report a conversion: with the click's `rwclid`, or after a view the beacon's token."""
        return await run_command(request, api.execute, lambda command: _convert(api, command, data))

    @get("/v1/why/{impression_id:str}", opt=needs("log:read"))
    async def why(impression_id: UuidText) -> Why:
        """Why this ad and why this price: the logged inputs, and the price computed from them."""
        await api.indexed()
        return await asyncio.to_thread(_explain, api, impression_id_of(impression_id))

    @get("/v1/ledger/totals", opt=needs("ledger:read"))
    async def ledger_totals() -> LedgerTotals:
        """What campaigns and bidders were charged and publishers credited: equal, always."""
        await api.indexed()
        debits, credits = _charged(api), _credited(api)
        counts = await asyncio.to_thread(_counts, api)
        return LedgerTotals(counts.impressions, debits, credits)

    return [report_conversion, why, ledger_totals]


def impression_id_of(impression_id: str) -> bytes:
    """The id, read; Invalid."""
    try:
        return parse_id(impression_id)
    except ValueError as error:
        raise Invalid(str(error), [Fault("path/impression_id", str(error))]) from None


def _explain(api: AdsApi, impression_id: bytes) -> Why:
    with api.reader.connect() as connection:
        sale = projections.sale(connection, impression_id)
    recorded = None if sale is None else api.journal.event_at(sale.seq)
    if recorded is None:
        raise NotFound(f"no sale of the impression {format_id(impression_id)} is kept")
    cleared = recorded.payload
    assert isinstance(cleared, AuctionCleared), "a sale's row names the event that decided it"
    slot = next(one for one in cleared.slots if one.impression_id == impression_id)
    return Why.of(recorded, cleared, slot)


def _counts(api: AdsApi) -> projections.Counts:
    with api.reader.connect() as connection:
        return projections.totals(connection)


def _charged(api: AdsApi) -> Money:
    """What campaigns have paid, their budgets less what they still hold, and bidders owe."""
    nanos = sum(
        account.debits_posted
        for id, account in api.ledger.accounts.items()
        if id.startswith(BIDDER_PREFIX)
    )
    for campaign in api.catalogue.campaigns.values():
        account = api.ledger.accounts[CAMPAIGN_PREFIX + campaign.id]
        held = account.credits_posted - account.debits_posted
        nanos += campaign.budget.total_nanos - held
    return Money.of_nanos(api.ads.currency, nanos)


def _credited(api: AdsApi) -> Money:
    """What has come to the publishers' accounts."""
    accounts = (api.ledger.accounts[PUBLISHER_PREFIX + id] for id in api.catalogue.publishers)
    nanos = sum(account.credits_posted for account in accounts)
    return Money.of_nanos(api.ads.currency, nanos)


# ---- conversions --------------------------------------------------------------------------------


def _convert(api: AdsApi, command: Command, data: NewConversion) -> tuple[int, Struct]:
    claim, view_only = _claim_of(api, data)
    value = data.value
    if value is not None and (value.currency != api.ads.currency or value.total_nanos < 0):
        detail = f"expected {api.ads.currency}, zero or more; got {value}"
        raise Conflict("rule-violated", f"/value: {detail}", errors=[Fault("/value", detail)])
    outcome = api.billing.record_conversion(
        command,
        claim,
        conversion_id=data.conversion_id,
        value_nanos=0 if value is None else value.total_nanos,
        customer=data.customer,
        view_only=view_only,
    )
    if outcome == "late":
        raise Conflict(
            "conversion-late", f"conversion {data.conversion_id!r} came after its window"
        )
    return status_of(outcome == "recorded"), Conversion(
        conversion_id=data.conversion_id,
        view_through=view_only,
        impression_id=format_id(claim.impression_id),
        campaign_id=claim.campaign_id,
        ad_id=claim.ad_id,
    )


def _claim_of(api: AdsApi, data: NewConversion) -> tuple[Claim, bool]:
    """The sale that a conversion is reported for, and whether after a view alone."""
    rwclid, impression = data.rwclid, data.impression
    if not isinstance(rwclid, UnsetType) and isinstance(impression, UnsetType):
        claim = api.billing.verify(rwclid, "conversion")
        if claim is None:
            fault = Fault("/rwclid", "not genuine")
            raise Conflict("unknown-click", "/rwclid: no click of this platform", errors=[fault])
        return claim, False
    if not isinstance(impression, UnsetType) and isinstance(rwclid, UnsetType):
        claim = api.billing.verify(impression, "impression")
        if claim is None:
            fault = Fault("/impression", "not genuine")
            raise Conflict(
                "unknown-impression", "/impression: none of this platform", errors=[fault]
            )
        return claim, True
    fault = Fault("/rwclid", "exactly one of rwclid and impression is needed")
    raise Conflict("rule-violated", f"{fault.pointer}: {fault.detail}", errors=[fault])
