"""From signals, ledger and subscription to ``Terms``: the one decision about a request's person.

Ads specification 3.6. Every rule that applies leaves a reason, and the most restrictive wins: a
rule can take away what another allows and never gives it back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from ringwork.consent.grants import GrantAuthority
from ringwork.consent.gvl import VendorLists
from ringwork.consent.model import State
from ringwork.consent.signals import DEFAULT_READING, Findings, Reading, find
from ringwork.kernel.purpose import Grant, GrantRefused, Purpose, Terms, Tier
from ringwork.kernel.viewer import Property, Signals

VISIT_WINDOW_S: Final = 90 * 60

_SELECT_BASIC_ADS: Final = 2
_BEHAVIOURAL: Final = (1, 3, 4)
"""Storage, an ads profile, personalised ads: each by consent."""
_NO_TC: Final = frozenset({"tc-missing", "tcf-no-vendor-id"})
"""Findings that say that no TC string speaks of us: it does not narrow what the ledger says."""
_RANK: Final[dict[Tier, int]] = {"general": 0, "less-personalised": 1, "consented": 2}

_YOUNG: Final = frozenset({"child", "child-directed", "minor", "age-unproven"})

REASONS: Final = {
    "subscription-active": "A subscription is active: no ads and no ad processing.",
    "subscription-grace": "Its payment is late and in grace: no ads and no ad processing.",
    "subscription-ending": "It was cancelled and runs to the end of its period: likewise.",
    "child": "The request is about a child.",
    "child-directed": "The property is for children.",
    "minor": "The person is recorded as a minor.",
    "age-unproven": "The property takes proof of age, and there is none.",
    "tcf-none": "The GDPR applies and no TC string permits us anything.",
    "tcf-no-ads": "The TC string does not permit us to select ads (purpose 2).",
    "tcf-no-profile": "The TC string permits no personalised ads (purposes 1, 3, 4 by consent).",
    "us-opt-out": "Opted out of sale, sharing or targeted advertising in the US.",
    "limited": "The device or browser asks not to be tracked.",
    "nobody": "The request names no person.",
    "undecided": "The person has not decided yet.",
    "refused": "The person refused.",
    "withdrawn": "The person withdrew.",
    "objected": "The person objected.",
    "deciding": "A decision of the person is on its way to the disk.",
    "consented": "The person consented, and nothing takes it away.",
}
"""Code -> meaning, in the order of the rules."""


class Judgement(Struct, frozen=True):
    """The tier and why, before a grant is made."""

    tier: Tier
    reasons: tuple[str, ...]


def judge(
    findings: Findings, state: State | None, *, ads_free: str = "", where: Property
) -> Judgement:
    """The tier of a request.

    ``state``: what the ledger says of the person, None for nobody. ``ads_free``: why the person
    sees no ads here (the subscription's code); empty where they do.
    """
    if ads_free:
        return Judgement("subscriber", (ads_free,))
    found: list[tuple[Tier, str]] = []
    if findings.child:
        found.append(("less-personalised", "child"))
    if where.child_directed:
        found.append(("less-personalised", "child-directed"))
    if state is not None and state.minor:
        found.append(("less-personalised", "minor"))
    elif where.proof_of_age and (state is None or not state.adult):
        found.append(("less-personalised", "age-unproven"))
    _by_tcf(found, findings, where)
    if findings.us_opt_outs:
        found.append(("less-personalised", "us-opt-out"))
    if findings.limit:
        found.append(("less-personalised", "limited"))
    _by_ledger(found, state, where)
    if not found:
        return Judgement("consented", ("consented",))
    tier = min((tier for tier, _ in found), key=_RANK.__getitem__)
    found.sort(key=lambda one: _RANK[one[0]])  # stable: the deciding rules first, each in order
    return Judgement(tier, tuple([reason for _, reason in found]))


def _by_tcf(found: list[tuple[Tier, str]], findings: Findings, where: Property) -> None:
    if not findings.gdpr_applies:
        return
    permitted = findings.tcf
    if permitted is None:
        if where.source == "tcf" or not _NO_TC.intersection(findings.reasons):
            found.append(("general", "tcf-none"))
    elif permitted.basis(_SELECT_BASIC_ADS) is None:
        found.append(("general", "tcf-no-ads"))
    elif not all(purpose in permitted.by_consent for purpose in _BEHAVIOURAL):
        found.append(("less-personalised", "tcf-no-profile"))


def _by_ledger(found: list[tuple[Tier, str]], state: State | None, where: Property) -> None:
    if state is None:
        found.append(("less-personalised", "nobody"))
        return
    for reason, purposes in (
        ("objected", state.objected),
        ("withdrawn", state.withdrawn),
        ("refused", state.refused),
    ):
        if "advertise" in purposes:
            found.append(("less-personalised", reason))
            return
    if where.source == "ledger" and "advertise" not in state.granted:
        found.append(("less-personalised", "undecided"))


class TermsOf:
    """Decides the terms of requests; on one event loop, a few microseconds each."""

    def __init__(
        self,
        *,
        state: Callable[[bytes, int], State],
        authority: GrantAuthority,
        reading: Reading = DEFAULT_READING,
        lists: VendorLists | None = None,
        visit_window_s: int = VISIT_WINDOW_S,
    ) -> None:
        """``state``: the ledger's look-up by pseudonym and time."""
        self._state = state
        self._authority = authority
        self._visit_window_s = visit_window_s
        self._reading = reading
        self._lists = lists

    def __call__(
        self,
        subject: bytes | None,
        signals: Signals,
        where: Property,
        *,
        now_us: int,
        request_id: bytes,
        ads_free: str = "",
    ) -> Terms:
        """What one request may use.

        ``subject``: the person's pseudonym, None for nobody. ``ads_free``: why they see no ads
        here, as a code; empty where they do.
        """
        if ads_free:
            return Terms("subscriber", (ads_free,))
        findings = find(signals, now_us // 1000, reading=self._reading, lists=self._lists)
        state = None if subject is None else self._state(subject, now_us)
        judged = judge(findings, state, where=where)
        grant: Grant | None = None
        tier, reasons = judged.tier, judged.reasons
        if tier == "consented":
            assert subject is not None
            assert state is not None
            grant = self._grant(subject, state, where, request_id)
            if grant is None:
                tier, reasons = "less-personalised", ("deciding",)
        is_young = any(reason in _YOUNG for reason in reasons)
        return Terms(
            tier,
            (*reasons, *findings.reasons),
            measurement_allowed=_may_measure(findings, state, where),
            demographics_allowed=where.demographics and not is_young and tier != "general",
            region_is_precise=findings.precise_geo_allowed and tier == "consented",
            visit_window_s=self._window_s(findings, where, tier),
            epoch=0 if state is None else state.epoch,
            grant=grant,
        )

    def _window_s(self, findings: Findings, where: Property, tier: Tier) -> int:
        """How long a visit is remembered: by the page's own key, or where storage is allowed."""
        if tier == "general" or (where.source == "tcf" and not findings.storage_allowed):
            return 0
        return self._visit_window_s

    def _grant(
        self, subject: bytes, state: State, where: Property, request_id: bytes
    ) -> Grant | None:
        purposes: tuple[Purpose, ...] = ("advertise",)
        services = state.sources("advertise", where.service) or (where.service,)
        try:
            return self._authority.grant(
                subject=subject,
                purposes=purposes,
                services=services,
                epoch=state.epoch,
                request_id=request_id,
            )
        except GrantRefused:
            return None


def _may_measure(findings: Findings, state: State | None, where: Property) -> bool:
    if where.source == "tcf":
        ended = state is not None and "measure" in (
            state.refused | state.withdrawn | state.objected
        )
        return findings.measurement_allowed and not ended
    return state is not None and "measure" in state.granted
