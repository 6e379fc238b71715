"""The terms of a request: by hand, by a table of every signal, and that no signal ever widens them."""

from array import array
from itertools import product

import msgspec
import pytest

from ringwork.consent.epochs import TABLE_BYTES, Epochs
from ringwork.consent.grants import GrantAuthority
from ringwork.consent.model import State
from ringwork.consent.policy import Judgement, Property, TermsOf, judge
from ringwork.consent.signals import Reading, Signals, find
from ringwork.consent.subscriptions.register import REASONS as ADS_FREE
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.purpose import GrantRefused
from tests.consent.test_signals import CASES, NOW_MS, OURS, PLAIN

SUBJECT, REQUEST = bytes(range(16)), b"r" * 16
GRANTED = State(granted=frozenset({"advertise", "measure"}), adult=True)
LEDGER, TCF = Property(), Property(source="tcf")
RANK = {"general": 0, "less-personalised": 1, "consented": 2}
FORBIDS_3 = CASES[25]["tc"]


def judged(state=GRANTED, where=LEDGER, ads_free="", **signals) -> Judgement:
    return judge(
        find(Signals(**signals), NOW_MS, reading=OURS), state, ads_free=ads_free, where=where
    )


@pytest.mark.parametrize(
    ("members", "tier", "reason"),
    [
        ({}, "consented", "consented"),
        ({"gdpr": 1, "tc": PLAIN}, "consented", "consented"),
        ({"gdpr": 1, "tc": "CQ"}, "general", "tcf-none"),
        ({"gdpr": 1, "tc": FORBIDS_3}, "less-personalised", "tcf-no-profile"),
        ({"where": TCF, "gdpr": 1}, "general", "tcf-none"),
        ({"where": TCF, "gdpr": 1, "tc": PLAIN}, "consented", "consented"),
        ({"where": TCF, "gdpr": 1, "tc": PLAIN, "state": State()}, "consented", "consented"),
        ({"where": TCF, "gdpr": 0, "state": State()}, "consented", "consented"),
        ({"where": TCF, "gdpr": 0, "state": None}, "less-personalised", "nobody"),
        ({"state": None}, "less-personalised", "nobody"),
        ({"state": State()}, "less-personalised", "undecided"),
        ({"state": State(refused=frozenset({"advertise"}))}, "less-personalised", "refused"),
        ({"state": State(withdrawn=frozenset({"advertise"}))}, "less-personalised", "withdrawn"),
        ({"where": TCF, "gdpr": 1, "tc": PLAIN, "state": State(objected=frozenset({"advertise"}))},
         "less-personalised", "objected"),
        ({"state": State(granted=frozenset({"measure"}))}, "less-personalised", "undecided"),
        ({"state": msgspec.structs.replace(GRANTED, minor=True)}, "less-personalised", "minor"),
        ({"coppa": 1}, "less-personalised", "child"),
        ({"where": Property(child_directed=True)}, "less-personalised", "child-directed"),
        ({"where": Property(proof_of_age=True)}, "consented", "consented"),
        ({"where": Property(proof_of_age=True), "state": msgspec.structs.replace(GRANTED, adult=False)},
         "less-personalised", "age-unproven"),
        ({"gdpr": 0, "us_privacy": "1YYN"}, "less-personalised", "us-opt-out"),
        ({"gpc": True}, "less-personalised", "us-opt-out"),
        ({"lmt": 1}, "less-personalised", "limited"),
        ({"coppa": 1, "gdpr": 1, "tc": "CQ"}, "general", "tcf-none"),
    ],
)  # fmt: skip
def test_by_hand(members, tier, reason):
    found = judged(**members)
    assert (found.tier, found.reasons[0]) == (tier, reason)


@pytest.mark.parametrize("code", ADS_FREE.values())
def test_who_subscribes_sees_no_ads_whatever_is_signalled(code):
    found = judged(ads_free=code, coppa=1, gdpr=1, tc="CQ", state=None)
    assert found == Judgement("subscriber", (code,))


CHOICES = {
    "gdpr": (None, 0, 1),
    "tc": ("", PLAIN, FORBIDS_3, "CQ"),
    "us_privacy": ("", "1YNN", "1YYN", "?"),
    "gpc": (False, True),
    "coppa": (None, 0, 1),
    "lmt": (None, 1),
}


def test_an_independent_table_of_every_combination_agrees():
    """The rules of the specification's section 3.6 written out a second time, over 576 requests."""
    for values in product(*CHOICES.values()):
        says = dict(zip(CHOICES, values, strict=True))
        europe = says["gdpr"] != 0
        for where, state in product((LEDGER, TCF), (GRANTED, State(), None)):
            tiers = [2]
            if europe and says["tc"] in ("", "CQ") and (where is TCF or says["tc"]):
                tiers.append(0)
            if europe and says["tc"] == FORBIDS_3:
                tiers.append(1)
            if says["us_privacy"] in ("1YYN", "?") or says["gpc"] or says["coppa"] or says["lmt"]:
                tiers.append(1)
            if state is None or (state is not GRANTED and where is LEDGER):
                tiers.append(1)
            found = judged(state, where, **says)
            assert RANK[found.tier] == min(tiers), (says, where, state, found)


def test_a_signal_never_widens_what_was_allowed_without_it():
    """Every restricting signal, added to every request, leaves the tier or lowers it."""
    restricting = [
        {"gpc": True},
        {"coppa": 1},
        {"lmt": 1},
        {"us_privacy": "1YYN"},
        {"gdpr": 1, "tc": "CQ"},
    ]
    for values in product(*CHOICES.values()):
        says = dict(zip(CHOICES, values, strict=True))
        before = RANK[judged(**says).tier]
        for more in restricting:
            assert RANK[judged(**{**says, **more}).tier] <= before, (says, more)


# ---- terms ----------------------------------------------------------------------------------------
@pytest.fixture
def decided():
    """(terms of, the authority, its clock, the states that the ledger has)."""
    clock = ManualClock(NOW_MS * 1000)
    epochs = Epochs(memoryview(array("I", bytes(TABLE_BYTES))))
    authority = GrantAuthority(b"k" * 32, epochs, clock)
    states = {SUBJECT: GRANTED}
    terms_of = TermsOf(
        state=lambda subject, now_us: states.get(subject, State()),
        authority=authority,
        reading=Reading(vendor_id=20),
    )
    return terms_of, authority, clock, states


def terms(decided, subject=SUBJECT, where=LEDGER, **signals):
    return decided[0](subject, Signals(**signals), where, now_us=NOW_MS * 1000, request_id=REQUEST)


def test_a_grant_is_for_exactly_the_granted_services_and_this_request(decided):
    states = decided[3]
    joins = frozenset({("advertise", "video", "main"), ("advertise", "mail", "video")})
    states[SUBJECT] = msgspec.structs.replace(GRANTED, joins=joins)
    given = terms(decided)
    assert (given.tier, given.grant.services) == ("consented", ("main", "video"))
    authority = decided[1]
    authority.verify(given.grant, purpose="advertise", service="video", request_id=REQUEST)
    for service, request_id in (("mail", REQUEST), ("main", b"s" * 16)):
        with pytest.raises(GrantRefused):
            authority.verify(
                given.grant, purpose="advertise", service=service, request_id=request_id
            )


def test_a_decision_on_its_way_to_the_disk_is_less_personalised(decided):
    decided[3][SUBJECT] = msgspec.structs.replace(GRANTED, epoch=1)  # the table says 0
    given = terms(decided)
    assert (given.tier, given.reasons[0], given.grant) == ("less-personalised", "deciding", None)


def test_outside_of_consent_there_is_no_grant(decided):
    for signals in ({"gpc": True}, {"gdpr": 1, "tc": "CQ"}, {"coppa": 1}):
        assert terms(decided, **signals).grant is None
    assert terms(decided, subject=None).grant is None


def test_what_else_a_request_may_use(decided):
    where = Property(demographics=True)
    open_terms = terms(decided, where=where)
    assert open_terms.measurement_allowed
    assert open_terms.demographics_allowed
    assert open_terms.visit_window_s == 90 * 60
    child = terms(decided, where=where, coppa=1)
    assert not child.demographics_allowed
    general = terms(decided, where=where, gdpr=1, tc="CQ")
    assert (general.tier, general.visit_window_s, general.demographics_allowed) == (
        "general",
        0,
        False,
    )
    without_storage = terms(decided, where=TCF, gdpr=1, tc=FORBIDS_3)
    assert without_storage.visit_window_s > 0
    assert not without_storage.region_is_precise
