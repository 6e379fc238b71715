"""Reports in plain Python over decoded events: slow, and written from the words alone."""

from collections import defaultdict
from datetime import UTC, datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

from ringwork.ads import events as e
from ringwork.ads.reports import RATIOS, SUMS, ReportQuery
from ringwork.kernel.ledger import TransferCreated


def expected(recorded, catalogue, query: ReportQuery):
    """(rows in the order of their dimensions, totals) of a query without order or limit."""
    rows = defaultdict(lambda: dict.fromkeys(SUMS, 0))
    totals = dict.fromkeys(SUMS, 0)
    zone = ZoneInfo(query.time_zone)
    for ts_us, facts, sums in _facts(recorded):
        if not query.from_us <= ts_us < query.until_us:
            continue
        known = {**_blank(), **facts, **_times(ts_us, zone), **_catalogue(facts, catalogue)}
        if any(known[name] not in values for name, values in query.filters.items()):
            continue
        key = tuple(known[name] for name in query.dimensions)
        for name, amount in sums.items():
            rows[key][name] += amount
            totals[name] += amount
        assert rows[key] is not None
    for one in (*rows.values(), totals):
        one["earnings_nanos"] = one["spend_nanos"] - one["fees_nanos"]
    return (
        [(key, _figures(rows[key], query)) for key in sorted(rows)],
        _figures(totals, query),
    )


def _figures(sums, query):
    figures = []
    for measure in query.measures:
        if measure in RATIOS:
            above, times, below = RATIOS[measure]
            figures.append(Fraction(sums[above] * times, sums[below]) if sums[below] else None)
        else:
            figures.append(sums[measure])
    return tuple(figures)


def _blank():
    names = (
        "advertiser campaign creative size priority pricing publisher site placement domain "
        "format deal source region device reason currency"
    )
    return dict.fromkeys(names.split(), "")


def _times(ts_us, zone):
    local = datetime.fromtimestamp(ts_us // 1_000_000, UTC).astimezone(zone)
    offset = local.strftime("%z")
    return {
        "month": local.strftime("%Y-%m"),
        "day": local.strftime("%Y-%m-%d"),
        "hour": local.strftime("%Y-%m-%dT%H") + f"{offset[:3]}:{offset[3:5]}",
        "hour_of_day": local.strftime("%H"),
    }


def _catalogue(facts, catalogue):
    found = {}
    campaign = catalogue.campaigns.get(facts.get("campaign", ""))
    if campaign is not None:
        found |= {"advertiser": campaign.advertiser_id, "priority": campaign.priority}
    creative = catalogue.creatives.get(facts.get("creative", ""))
    if creative is not None:
        found["size"] = f"{creative.width}x{creative.height}"
    placement = catalogue.placements.get(facts.get("placement", ""))
    if placement is not None:
        found["site"] = placement.site_id or ""
    return found


def _facts(recorded):
    """(time, dimensions, sums) of every fact."""
    sales = {}
    for event in recorded:
        payload = event.payload
        if isinstance(payload, e.AuctionCleared):
            yield from _auction(event.ts_us, payload, sales)
        elif isinstance(payload, TransferCreated):
            if payload.credit_account == "platform/fees":
                impression_id = bytes.fromhex(payload.reference.replace("-", ""))
                yield event.ts_us, sales[impression_id], {"fees_nanos": payload.amount_nanos}
        else:
            sums = _outcome(payload)
            if sums is not None:
                facts = dict(sales[payload.impression_id])
                facts["reason"] = getattr(payload, "reason", "") or getattr(
                    payload, "unbilled_reason", ""
                )
                if facts["reason"].startswith("invalid"):
                    sums = {"spend_nanos": sums.get("spend_nanos", 0), "invalid": 1}
                elif facts["reason"] == "unbilled-impression":
                    continue
                yield event.ts_us, facts, sums


def _auction(ts_us, payload, sales):
    context = payload.context
    about = {
        "source": payload.source, "currency": payload.currency, "publisher": context.publisher_id,
        "placement": context.placement_id, "region": context.region, "device": context.device_type,
        "domain": context.app or context.site,
    }  # fmt: skip
    yield ts_us, about, {"requests": 1}
    for slot in payload.slots:
        facts = {**about, "format": slot.format, "deal": slot.deal_id}
        if slot.impression_id is not None:
            facts |= {
                "campaign": slot.campaign_id, "creative": slot.ad_id, "pricing": slot.pricing,
            }  # fmt: skip
            sales[slot.impression_id] = facts
        yield ts_us, facts, {"slots": 1, "sold": int(slot.impression_id is not None)}


def _outcome(payload):
    match payload:
        case e.ImpressionBilled():
            return {"impressions": 1, "spend_nanos": payload.price_nanos}
        case e.ImpressionUnbilled():
            return {"unbilled": 1}
        case e.ImpressionMeasured():
            name = "viewable" if payload.measure == "viewable" else "views"
            return {name: 1, "spend_nanos": payload.charged_nanos}
        case e.ClickRecorded():
            return {"clicks": 1, "spend_nanos": payload.charged_nanos}
        case e.ConversionRecorded():
            return {
                "conversions": 1, "view_conversions": int(payload.view_through),
                "value_nanos": payload.value_nanos, "spend_nanos": payload.charged_nanos,
            }  # fmt: skip
    return None
