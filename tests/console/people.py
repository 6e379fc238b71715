"""A hand-made day of consent: what people decided, one person's ledger, and audiences."""

from __future__ import annotations

from msgspec.structs import replace

from ringwork.ads.behavioural.projections import DeniedRow
from ringwork.ads.model import Audience, AudienceRule
from ringwork.ads.projections import TierCounts
from ringwork.consent.choice.events import NoticePublished
from ringwork.consent.events import ConsentRecorded
from ringwork.consent.inspection import Chain, CheckedDay, CheckedRecord, Inspected
from ringwork.consent.model import Join
from ringwork.consent.projections import DayCount
from ringwork.consent.proof import SignedTree
from ringwork.consent.proof_runs import ProofRun, RecordedRun, WallStands
from ringwork.consent.requests import ConsentView, Prompt, PromptPurpose, PurposeView
from ringwork.console.consent_facts import ConsentFacts, PersonFacts
from ringwork.console.facts import AudienceFacts, AudienceLine, AudiencesFacts, ChangeFacts, Use
from ringwork.kernel.events import Recorded
from tests.console.day import DAY, NOW, id_of

TODAY = DAY // 86_400_000_000
SUBJECT = bytes.fromhex("5fa3c19e" * 4)
TEXT = "Your choice at Diário da Casa\nPersonalised ads or less personalised ones: both are free."
HASH = "c4" * 32
KEY = "9f86d081884c7d65"


def tree(day: int, count: int, *, is_open: bool = False) -> SignedTree:
    """A day's tree, signed."""
    return SignedTree(day, count, "a1" * 32, "b2" * 32, KEY, "d3" * 64, is_open)


CONSENT = ConsentFacts(
    now_us=NOW,
    first_day=TODAY - 27,
    days=[
        DayCount(TODAY - 1, "grant", 412, 412),
        DayCount(TODAY - 1, "refuse", 388, 388),
        DayCount(TODAY - 1, "withdraw", 9, 17),
        DayCount(TODAY, "grant", 201, 201),
        DayCount(TODAY, "refuse", 230, 230),
        DayCount(TODAY, "object", 2, 2),
        DayCount(TODAY, "erase", 1, 1),
        DayCount(TODAY, "declare", 3, 3),
    ],
    asked={"personalised": 613, "less": 604, "subscribe": 41, "": 342},
    denied=[
        DeniedRow("advertise", "main", "ended", 12),
        DeniedRow("advertise", "shop", "other-service", 3),
        DeniedRow("", "", "uncounted", 1),
    ],
    subscriptions={"active": 40, "past_due": 1, "ending": 2},
    people=1_204,
    sealed_day=CheckedDay(tree(TODAY - 1, 809)),
    open_records=437,
    lasts_days=395,
    ask_again_days=365,
    tiers={
        "consented": TierCounts(182_440, 182_440, 147_906, 4_000_000, 24_000_000_000),
        "less-personalised": TierCounts(171_903, 171_903, 122_417, 3_500_000, 20_000_000_000),
        "general": TierCounts(58_560, 58_560, 35_118, 900_000, 6_000_000_000),
    },
    ads_free_requests=20_311,
    last_proof=RecordedRun(
        NOW - 3_600_000_000,
        "local",
        ProofRun(
            version="0.1.0",
            seed=1,
            holds=True,
            pairs=100_000,
            differing_pairs=0,
            differing_bytes=0,
            history_reads=0,
            canary_sightings=0,
            timing_p_ppm=189_000,
            planted=55,
            caught=55,
            walls=[
                WallStands("types", True, "2 signatures, 31 members"),
                WallStands("pairs", True, "0 bytes differ in 100,000 pairs"),
            ],
        ),
    ),
)
EMPTY_CONSENT = replace(
    CONSENT, tiers={}, ads_free_requests=0, last_proof=None, days=[], asked={}, denied=[], subscriptions={}, people=0, sealed_day=None,
    open_records=0,
)  # fmt: skip
BROKEN_CONSENT = replace(CONSENT, sealed_day=CheckedDay(tree(TODAY - 1, 809), "root"))


def record(number: int, action: str, **more: object) -> CheckedRecord:
    """A record as the log has it."""
    members: dict[str, object] = {
        "number": number, "action": action, "purposes": ("advertise", "measure"), "services": (),
        "basis": "consent", "notice": HASH, "notice_version": "2026-03", "surface": "choice-page",
        "steps": 1, "asked": True, "locale": "pt-PT", "minor": None, "signal_kind": "",
        "signal": None, "actor": "choice", "prev_hash": bytes([number - 1] * 32),
        "hash": bytes([number] * 32),
    }  # fmt: skip
    event = ConsentRecorded(**(members | more))  # type: ignore[arg-type]  # by name
    ts_us = DAY - (4 - number) * 86_400_000_000 + 9 * 3_600_000_000
    recorded = Recorded(
        0, number * 100, id_of(number), ts_us, id_of(90), None, "main", SUBJECT, "consent", event
    )
    return CheckedRecord(number, number * 100, recorded)


RECORDS = [
    record(1, "grant", services=(("shop", "main"),)),
    record(2, "refuse", purposes=("converse",), notice="ee" * 32, notice_version="", surface=""),
    record(3, "declare", purposes=(), notice="", minor=False, actor="4f2a"),
    record(4, "withdraw", purposes=("advertise",), surface="choice-mine", steps=2, asked=False,
           signal_kind="gpc"),
]  # fmt: skip
PERSON = PersonFacts(
    now_us=NOW,
    view=ConsentView(
        SUBJECT.hex(),
        False,
        [
            PurposeView("advertise", "withdrawn", "2026-11-26T09:00:00Z", []),
            PurposeView("measure", "granted", "2026-11-23T09:00:00Z", [Join("shop", "main")]),
            PurposeView("converse", "refused", "2026-11-24T09:00:00Z", []),
        ],
        4,
        "04" * 32,
        4,
    ),
    prompt=Prompt(
        False,
        "2027-11-24T09:00:00Z",
        [
            PromptPurpose("advertise", False, "asked-too-soon", "2027-11-26T09:00:00Z"),
            PromptPurpose("measure", False, "granted", ""),
            PromptPurpose("converse", False, "asked-too-soon", "2027-11-24T09:00:00Z"),
        ],
    ),
    is_minor=False,
    since={
        "advertise": (DAY + 9 * 3_600_000_000, 4),
        "measure": (DAY - 3 * 86_400_000_000, 1),
        "converse": (DAY - 2 * 86_400_000_000, 2),
    },
    lasts_us=395 * 86_400_000_000,
    inspected=Inspected(
        Chain(4, 4),
        RECORDS,
        [
            CheckedDay(tree(TODAY - 3, 612)),
            CheckedDay(tree(TODAY - 2, 300_000), "unasked"),
            CheckedDay(tree(TODAY, 437, is_open=True)),
        ],
        {one.seq: one.number for one in RECORDS},
        4,
    ),
    after=0,
    notices={HASH: NoticePublished(HASH, "2026-03", "pt", TEXT)},
    subscriptions=[],
)
STRANGER = replace(
    PERSON,
    view=replace(
        PERSON.view,
        purposes=[PurposeView(one.purpose, "undecided", "", []) for one in PERSON.view.purposes],
        records=0,
        head="",
    ),
    prompt=Prompt(
        True,
        "",
        [PromptPurpose(one.purpose, True, "undecided", "") for one in PERSON.view.purposes],
    ),
    is_minor=None,
    since={},
    inspected=Inspected(Chain(0, 0), [], [], {}, 0),
    notices={},
    subscriptions=None,
)
BROKEN_PERSON = replace(
    PERSON,
    inspected=replace(
        PERSON.inspected,
        chain=Chain(2, 4, "link", 2),
        records=[RECORDS[0], replace(RECORDS[1], breach="record"),
                 CheckedRecord(3, 300, None, "gone")],
        days=[CheckedDay(tree(TODAY - 3, 612), "signature")],
    ),
)  # fmt: skip

BOATS = Audience(
    id="boat-owners",
    name="Boat owners",
    rules=[
        AudienceRule(within_s=30 * 86_400, topics=["483"], kinds=["view", "cart"], at_least=2),
        AudienceRule(within_s=7 * 86_400, kinds=["purchase"], services=["shop"]),
    ],
)
LINE = AudienceLine(
    audience=BOATS,
    uses=[
        Use(campaign_id="hp-autumn-26", name="Autumn exteriors", excludes=False),
        Use(campaign_id="tram", name="Tram pass, yearly", excludes=True),
    ],
    use_count=3,
)
AUDIENCES = AudiencesFacts(
    now_us=NOW, wanted="", count=3, live=2, used=1, interest_campaigns=4,
    lines=[
        LINE,
        replace(LINE, audience=replace(BOATS, id="old", name="Old <b>", status="archived"),
                uses=[], use_count=0),
    ],
    has_more=True,
)  # fmt: skip
AUDIENCE = AudienceFacts(
    now_us=NOW,
    line=LINE,
    changes=[
        ChangeFacts(
            ts_us=NOW, seq=9, actor="console", label="", action="change", reason="",
            changes=[("/match", b'"any"', b'"all"')],
        )
    ],
)  # fmt: skip
