"""Which past places a planned campaign could have filled, as SQL over exported auctions.

The same rules as the live index (``retrieval.dimensions``): a campaign that names nothing of a
dimension is not excluded by it. Every value goes into a parameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ringwork.ads.forecast.plan import PlannedCampaign
from ringwork.ads.reports.zones import local_time, spells, zone_of
from ringwork.ads.retrieval.dimensions import COUNTRY_CHARS, DEAL_KEY, with_parents

AUCTION: Final = (
    '{"source":"VARCHAR","context":{"site":"VARCHAR","app":"VARCHAR","publisher_id":"VARCHAR",'
    '"placement_id":"VARCHAR","categories":["VARCHAR"],"region":"VARCHAR",'
    '"device_type":"VARCHAR","blocked_categories":["VARCHAR"],"blocked_domains":["VARCHAR"],'
    '"key_values":[["VARCHAR"]],"blocked_advertisers":["VARCHAR"]},"slots":[{"format":"VARCHAR",'
    '"rule":"VARCHAR","reserve_nanos":"BIGINT","impression_id":"VARCHAR","charge_bid":"BOOLEAN",'
    '"deal_id":"VARCHAR","considered":[{"score_nanos":"BIGINT"}]}]}'
)
"""What is read of an auction; ``c`` is its context and ``slot`` one of its slots below."""


class Condition:
    """Parts of a WHERE clause, with the values of their placeholders in order."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.parameters: list[object] = []

    def add(self, sql: str, *values: Sequence[object]) -> None:
        """One more part; every ``{}`` of it stands for one list of values."""
        self.parts.append(sql.format(*(_places(one) for one in values)))
        self.parameters += [value for one in values for value in one]

    @property
    def sql(self) -> str:
        return " AND ".join(f"({part})" for part in self.parts) or "true"


def _places(values: Sequence[object]) -> str:
    return ", ".join("?" for _ in values)


def matching(plan: PlannedCampaign, *, from_us: int, until_us: int) -> Condition:
    """That a slot of the range could show the planned campaign."""
    condition = Condition()
    condition.add("slot.format IN ({})", plan.formats)
    _add_places(condition, plan)
    _add_about(condition, plan)
    _add_hours(condition, plan, from_us, until_us)
    _add_key_values(condition, plan)
    _add_blocks(condition, plan)
    if plan.sizes:
        sizes = [f"{width}x{height}" for width, height in plan.sizes]
        known = "slot.format <> 'banner' OR size IS NULL OR size IN ({})"
        condition.add(known, sizes)
    return condition


def _lies_in(domain: str, domains: Sequence[str]) -> tuple[str, list[object]]:
    """SQL that a domain is one of ``domains`` or lies in one."""
    below = " OR ".join(f"ends_with({domain}, ?)" for _ in domains)
    values: list[object] = [*domains, *(f".{one}" for one in domains)]
    return f"{domain} IN ({_places(domains)}) OR {below}", values


def _add_places(condition: Condition, plan: PlannedCampaign) -> None:
    """Sites and apps are one dimension: who names some of either shows nowhere else."""
    target, excluded = plan.targeting, plan.targeting.excluded
    for sites, apps, pattern in (
        (target.sites, target.apps, "({})"),
        (excluded.sites, excluded.apps, "NOT ({})"),
    ):
        either: list[str] = []
        values: list[object] = []
        if sites:
            sql, values = _lies_in("c.site", sites)
            either.append(sql)
        if apps:
            either.append(f"c.app IN ({_places(apps)})")
            values = [*values, *apps]
        if either:
            condition.parts.append(pattern.format(" OR ".join(either)))
            condition.parameters += values


def _add_about(condition: Condition, plan: PlannedCampaign) -> None:
    """Categories, regions and devices: targeted, and not excluded."""
    target, excluded = plan.targeting, plan.targeting.excluded
    country = f"left(c.region, {COUNTRY_CHARS})"
    # A page of a category is of what that belongs to, too (``dimensions.with_parents``).
    parents = (
        "list_transform(c.categories, lambda x: regexp_replace(x, '^(IAB[0-9]+)-[0-9]+$', '\\1'))"
    )
    for sql, wanted, unwanted in (
        (
            f"list_has_any(list_concat(c.categories, {parents}), [{{}}])",
            target.categories,
            excluded.categories,
        ),
        ("list_has_any([c.region, " + country + "], [{}])", target.regions, excluded.regions),
        ("c.device_type IN ({})", target.device_types, excluded.device_types),
    ):
        if wanted:
            condition.add(sql, wanted)
        if unwanted:
            condition.add(f"NOT {sql}", unwanted)


def _add_hours(condition: Condition, plan: PlannedCampaign, from_us: int, until_us: int) -> None:
    target = plan.targeting
    local = local_time(spells(zone_of(target.time_zone), from_us, until_us))
    if target.hours:
        condition.add(f"hour({local}) IN ({{}})", target.hours)
    if target.weekdays:
        condition.add(f"isodow({local}) - 1 IN ({{}})", target.weekdays)


def _add_key_values(condition: Condition, plan: PlannedCampaign) -> None:
    """What the page says; to a deal belong only the campaigns that target its key."""
    deals = plan.targeting.key_values.get(DEAL_KEY, ())
    said = "len(list_filter(c.key_values, lambda p: p[1] IN ({}) AND p[2] IN ({}))) > 0"
    if not deals:
        condition.add("slot.deal_id = ''")
    for key, values in plan.targeting.key_values.items():
        if key == DEAL_KEY:
            by_page = f"slot.deal_id = '' AND {said}"
            condition.add(f"slot.deal_id IN ({{}}) OR ({by_page})", values, [key], values)
        else:
            condition.add(said, [key], values)
    for key, values in plan.targeting.excluded.key_values.items():
        condition.add(f"NOT ({said})", [key], values)


def _add_blocks(condition: Condition, plan: PlannedCampaign) -> None:
    """Whom the publisher does not want."""
    if plan.advertiser is not None:
        condition.add("NOT list_has_any(c.blocked_advertisers, [{}])", [plan.advertiser])
    if plan.advertiser_domain is not None:
        labels = plan.advertiser_domain.split(".")
        parents = [".".join(labels[at:]) for at in range(len(labels))]
        condition.add("NOT list_has_any(c.blocked_domains, [{}])", parents)
    if plan.categories:
        own = with_parents(plan.categories)
        condition.add("NOT list_has_any(c.blocked_categories, [{}])", own)
