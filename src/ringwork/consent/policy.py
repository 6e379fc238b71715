"""From signals, ledger and subscription to ``Terms``: the one decision about a request's person.

Ads specification 3.6. Every rule that applies leaves a reason, and the most restrictive wins: a
rule can take away what another allows and never gives it back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from ringwork.consent.daily import DailyFindings
from ringwork.consent.grants import GrantAuthority
from ringwork.consent.gvl import VendorLists
from ringwork.consent.model import State
from ringwork.consent.signals import DEFAULT_READING, Findings, Reading
from ringwork.kernel.purpose import Grant, GrantRefused, Purpose, Terms, Tier
from ringwork.kernel.viewer import Property, Signals

VISIT_WINDOW_S: Final = 90 * 60

_SELECT_BASIC_ADS: Final = 2
_BEHAVIOURAL: Final = frozenset({1, 3, 4})
"""Storage, an ads profile, personalised ads: each by consent."""
_NO_TC: Final = frozenset({"tc-missing", "tcf-no-vendor-id"})
"""Findings that say that no TC string speaks of us: it does not narrow what the ledger says."""
_GENERAL: Final = frozenset({"tcf-none", "tcf-no-ads"})
"""Reasons that leave nothing but the place of the ad."""
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


class Judgement(Struct, frozen=True, gc=False):
    """The tier and why, before a grant is made."""

    tier: Tier
    reasons: tuple[str, ...]


_CONSENTED: Final = Judgement("consented", ("consented",))


def judge(
    findings: Findings, state: State | None, *, ads_free: str = "", where: Property
) -> Judgement:
    """The tier of a request.

    ``state``: what the ledger says of the person, None for nobody. ``ads_free``: why the person
    sees no ads here (the subscription's code); empty where they do.
    """
    if ads_free:
        return Judgement("subscriber", (ads_free,))
    reasons = _by_age(findings, state, where)  # each alone makes the request less personalised
    by_tcf = _by_tcf(findings, where) if findings.gdpr_applies else ""
    if by_tcf == "tcf-no-profile":
        reasons.append(by_tcf)
    if findings.us_opt_outs:
        reasons.append("us-opt-out")
    if findings.limit:
        reasons.append("limited")
    by_ledger = _by_ledger(state, where)
    if by_ledger:
        reasons.append(by_ledger)
    if by_tcf in _GENERAL:
        return Judgement("general", (by_tcf, *reasons))
    return Judgement("less-personalised", tuple(reasons)) if reasons else _CONSENTED


def _by_age(findings: Findings, state: State | None, where: Property) -> list[str]:
    """What holds because somebody is, or may be, a child."""
    reasons = []
    if findings.child:
        reasons.append("child")
    if where.child_directed:
        reasons.append("child-directed")
    if state is not None and state.minor:
        reasons.append("minor")
    elif where.proof_of_age and (state is None or not state.adult):
        reasons.append("age-unproven")
    return reasons


def _by_tcf(findings: Findings, where: Property) -> str:
    """What the TC string takes away; empty: nothing."""
    permitted = findings.tcf
    if permitted is None:
        if where.source == "tcf" or _NO_TC.isdisjoint(findings.reasons):
            return "tcf-none"
        return ""
    if permitted.basis(_SELECT_BASIC_ADS) is None:
        return "tcf-no-ads"
    return "" if _BEHAVIOURAL.issubset(permitted.by_consent) else "tcf-no-profile"


def _by_ledger(state: State | None, where: Property) -> str:
    """What the person's own record takes away; empty: nothing."""
    if state is None:
        return "nobody"
    if "advertise" in state.objected:
        return "objected"
    if "advertise" in state.withdrawn:
        return "withdrawn"
    if "advertise" in state.refused:
        return "refused"
    if where.source == "ledger" and "advertise" not in state.granted:
        return "undecided"
    return ""


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
        self._find = DailyFindings(reading=reading, lists=lists)

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
        findings = self._find(signals, now_us // 1000)
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
        return Terms(
            tier,
            reasons + findings.reasons,
            measurement_allowed=_may_measure(findings, state, where),
            demographics_allowed=(
                where.demographics and tier != "general" and _YOUNG.isdisjoint(reasons)
            ),
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
    if where.source == "ledger":
        return state is not None and "measure" in state.granted
    if not findings.measurement_allowed or state is None:
        return findings.measurement_allowed
    ended = (state.refused, state.withdrawn, state.objected)
    return not any("measure" in purposes for purposes in ended)
