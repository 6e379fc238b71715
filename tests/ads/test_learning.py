"""What the log teaches: who is shown, which labels are waited for, and the same again by replay."""

from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.ads import learning as learning_module
from ringwork.ads.events import (
    AuctionCleared,
    ClickRecorded,
    ConversionRecorded,
    CreativeChanged,
    ImpressionBilled,
    ImpressionMeasured,
    ImpressionUnbilled,
    SlotOutcome,
)
from ringwork.ads.holdout import Holdout
from ringwork.ads.learning import TIER, Learning, heads_of
from ringwork.ads.model import Context, Creative, Slot
from ringwork.ads.model_events import ModelPublished
from ringwork.ads.rank import features
from ringwork.ads.rank.reliability import reliability
from ringwork.ads.rank.response import ResponseModel
from ringwork.kernel.events import Event, Recorded
from tests.ads.house import BANNER, SITE, House, changed

SECOND = 1_000_000
START_US = 1_764_158_400 * SECOND
HOLD_S = 360


@dataclass
class Told:
    """Writes down what a model is told."""

    calls: list[tuple] = field(default_factory=list)

    def shown(self, impression_id, context, ad, tier, *, ts_us, heads) -> None:
        self.calls.append(("shown", impression_id, context.tolist(), ad.tolist(), tier, heads))

    def responded(self, head, impression_id, *, ts_us) -> None:
        self.calls.append(("responded", head, impression_id))

    def advance(self, now_us) -> int:
        return 0

    def publish(self) -> None:
        self.calls.append(("publish",))

    def names(self) -> list[str]:
        return [call[1] if call[0] == "responded" else call[0] for call in self.calls]


def recorded(event: Event, ts_us: int) -> Recorded:
    return Recorded(0, 1, bytes(16), ts_us, bytes(16), None, "main", None, None, event)


def shop() -> House:
    """Two ads of one campaign that pays for clicks."""
    house = House()
    house.open()
    house.campaign(pricing="cpc", bid_nanos=300_000_000)
    house.creative("a1", categories=["IAB2"])
    return house


def taught(house: House, model: Told | None = None) -> Told:
    model = model or Told()
    fold = Learning(model)
    for event in house.events():
        if isinstance(event.payload, Learning.hears):
            fold.apply(event)
    return model


def test_an_ad_that_was_shown_and_clicked_is_learned_with_what_it_is_scored_by():
    with shop() as house:
        [sold] = house.serve()[1]
        house.impression(sold.tokens["impression"])
        house.click(sold.tokens["click"])
        [shown, clicked] = taught(house).calls
        campaign, creative = house.catalogue.campaigns["c1"], house.catalogue.creatives["a1"]
    context = features.context_keys(features.context_values(SITE, BANNER)).tolist()
    ad = features.ad_keys([features.ad_values(creative, campaign)])[0].tolist()
    assert shown == (
        "shown", sold.impression_id, context, ad, "less_personalised", ("click", "viewable"),
    )  # fmt: skip
    assert clicked == ("responded", "click", sold.impression_id)


def test_what_was_sold_and_never_shown_is_not_learned():
    with shop() as house:
        house.serve()
        assert taught(house).calls == []


def test_an_outside_bidders_ad_is_sold_shown_and_not_learned():
    with shop() as house:
        house.serve()
        [cleared] = house.payloads(AuctionCleared)
        [slot] = cleared.slots
        id = slot.impression_id
        outside = changed(slot, ad_id="x:dsp:b1", campaign_id="x:dsp", pricing="cpm")
        model, billed = (
            Told(),
            ImpressionBilled(id, "x:dsp", "x:dsp:b1", "pub", "", "cpm", 1, "EUR"),
        )
        fold = Learning(model)
        for event in (changed(cleared, slots=[outside]), billed):
            fold.apply(recorded(event, START_US))
        assert model.calls == []


FORMATS = ("banner", "video", "native", "audio")
MEASURED = [("vcpm", "banner"), ("vcpm", "video"), ("vcpm", "native"), ("cpv", "video")]
"""Where what is paid for can be measured."""


@pytest.mark.parametrize(
    ("pricing", "format"),
    [*((pricing, format) for pricing in ("cpm", "cpc", "cpa") for format in FORMATS), *MEASURED],
)
def test_the_labels_that_are_waited_for_are_those_of_the_beacons_that_were_signed(pricing, format):
    media = {
        "banner": {},
        "video": {"video_url": "https://adv.example/v", "video_mime": "video/mp4"},
        "audio": {"audio_url": "https://adv.example/a", "audio_mime": "audio/mp4"},
        "native": {"title": "T", "image_url": "https://adv.example/i"},
    }[format]
    more = {"duration_s": 15} if format in ("video", "audio") else {}
    size = {"html": "<b>ad</b>", "width": 300, "height": 250} if format == "banner" else {
        "html": "", "width": 0, "height": 0,
    }  # fmt: skip
    with House() as house:
        house.open()
        house.campaign(pricing=pricing)
        house.creative(format=format, **media, **more, **size)
        [sold] = house.serve(Slot(id="1", format=format))[1]
    measured = {"viewable": "viewable", "view": "completed"}
    signed = [measured.get(kind, kind) for kind in sold.tokens if kind != "impression"]
    assert sorted(signed) == sorted(heads_of("native", pricing, format))


def test_an_exchange_s_ad_is_measured_only_where_that_is_paid_for():
    assert heads_of("openrtb", "cpm", "video") == ("click",)
    assert heads_of("openrtb", "vcpm", "banner") == ("click", "viewable")
    assert heads_of("openrtb", "cpv", "video") == ("click", "completed")


# ---- by hand-made events ------------------------------------------------------------------------

CREATED = [
    learning_module.CampaignCreated(
        msgspec.convert(
            {
                "id": "c", "advertiser_id": "adv", "name": "C", "pricing": "cpc", "bid_nanos": 1,
                "budget": {"currency": "EUR", "units": 1, "nanos": 0},
            },
            learning_module.Campaign,
        )
    ),
    *(
        learning_module.CreativeCreated(
            Creative(
                id=id, campaign_id="c", name=id, format="banner", width=300, height=250,
                landing_url="https://a.example/",
            )
        )
        for id in ("a0", "a1")
    ),
]  # fmt: skip


def sale(number: int, ts_us: int, ad: int = 0, site: int = 0, source: str = "openrtb", **context):
    outcome = SlotOutcome(
        "1", "banner", "second", 0, 1, {}, [], name(number), f"a{ad}", "c", "cpc", 1,
        ts_us // SECOND + HOLD_S,
    )  # fmt: skip
    where = Context(site=f"s{site}.example", publisher_id="pub", **context)
    return AuctionCleared(source, "EUR", where, [outcome], {})


def name(number: int) -> bytes:
    return number.to_bytes(16, "big")


def billed(number: int) -> Event:
    return ImpressionBilled(name(number), "c", "a0", "pub", "", "cpc", 0, "EUR")


def clicked(number: int) -> Event:
    return ClickRecorded(name(number), "c", "a0", "pub", 1, "EUR")


def measured(number: int, measure: str) -> Event:
    return ImpressionMeasured(name(number), "c", "a0", "pub", measure, 0, "EUR")


def converted(number: int, **more: object) -> Event:
    return ConversionRecorded("o", name(number), "c", "a0", "pub", 0, 0, "EUR", **more)


def fold(model, events, *, ts_us: int = START_US, sales_max: int = 100) -> Learning:
    """A learning that has heard the catalogue and then these events, all at one moment."""
    made = Learning(model, sales_max=sales_max)
    for event in (*CREATED, *events):
        made.apply(recorded(event, ts_us))
    return made


def test_each_outcome_is_a_response_of_its_head():
    told = Told()
    outcomes = [measured(1, "viewable"), measured(1, "view"), clicked(1), converted(1)]
    fold(told, [sale(1, START_US), billed(1), *outcomes])
    assert told.names() == ["shown", "viewable", "completed", "click", "conversion"]


def test_a_click_that_overtakes_the_beacon_says_that_the_ad_was_shown():
    told = Told()
    fold(told, [sale(1, START_US), clicked(1), billed(1)])
    assert told.names() == ["shown", "click"]


def test_a_conversion_without_a_click_is_no_response_to_a_click():
    told = Told()
    fold(told, [sale(1, START_US), billed(1), converted(1, view_through=True)])
    assert told.names() == ["shown"]


@pytest.mark.parametrize(
    ("reason", "names"),
    [("budget", ["shown", "click"]), ("invalid-click-rate", ["shown"])],
)
def test_a_click_that_is_no_person_s_is_no_response_and_an_unpaid_one_is(reason, names):
    told = Told()
    click = msgspec.structs.replace(clicked(1), charged_nanos=0, unbilled_reason=reason)
    fold(told, [sale(1, START_US), billed(1), click])
    assert told.names() == names


def test_an_impression_that_was_not_billed_is_no_example_whatever_follows():
    told = Told()
    unbilled = ImpressionUnbilled(name(1), "c", "invalid-agent-declared")
    seen = msgspec.structs.replace(measured(1, "viewable"), unbilled_reason="unbilled-impression")
    fold(told, [sale(1, START_US), unbilled, seen, clicked(1)])
    assert told.names() == ["click"], "which the model counts as unmatched"


def test_outcomes_of_what_was_never_sold_and_unknown_measures_teach_nothing_of_an_ad():
    told = Told()
    fold(told, [billed(1), clicked(2), measured(3, "heard")])
    assert told.names() == ["click"], "which the model counts as unmatched"


def test_a_sale_is_forgotten_after_its_hold_and_not_before():
    for late_s, names in ((HOLD_S - 1, ["shown"]), (HOLD_S + 61, [])):
        told = Told()
        made = fold(told, [sale(1, START_US)])
        made.apply(recorded(sale(2, START_US), START_US + 61 * SECOND))
        made.apply(recorded(billed(2), START_US + late_s * SECOND))
        told.calls.clear()
        made.apply(recorded(billed(1), START_US + late_s * SECOND))
        assert told.names() == names


def test_sales_beyond_the_bound_are_counted_and_cost_nothing_else():
    told = Told()
    made = fold(told, [sale(number, START_US) for number in range(3)], sales_max=2)
    for number in range(3):
        made.apply(recorded(billed(number), START_US))
    assert told.names() == ["shown", "shown"]
    assert made.refused == 1


def test_an_ad_is_learned_as_it_was_when_it_was_sold():
    told = Told()
    made = fold(told, [sale(1, START_US)])
    changed = msgspec.structs.replace(CREATED[1].creative, categories=["IAB2"])
    made.apply(recorded(CreativeChanged(changed), START_US))
    made.apply(recorded(sale(2, START_US), START_US))
    for number in (1, 2):
        made.apply(recorded(billed(number), START_US))
    was, is_now = (call[3] for call in told.calls)
    category = features.AD_FIELDS.index("category")
    assert is_now[category] == features.key("category", "IAB2") != was[category]


def size_of(call) -> int:
    return call[2][features.CONTEXT_FIELDS.index("size")]


def test_the_size_is_the_placement_s_on_our_pages_and_the_ad_s_at_an_exchange():
    placements = [
        learning_module.PlacementCreated(
            learning_module.Placement(id=id, publisher_id="pub", format="banner", **size)
        )
        for id, size in (("fixed", {"width": 300, "height": 250}), ("any", {}))
    ]
    told = Told()
    made = fold(told, placements)
    for number, (source, placement) in enumerate(
        [("native", "fixed"), ("native", "any"), ("openrtb", "any")]
    ):
        event = sale(number, START_US, source=source, placement_id=placement)
        made.apply(recorded(event, START_US))
        made.apply(recorded(billed(number), START_US))
    fixed, free = features.key("size", "300x250"), features.key("size", "")
    assert [size_of(call) for call in told.calls] == [fixed, free, fixed]


def test_a_version_is_published_where_the_log_says_so():
    model = ResponseModel(bits=10, waiting_max=100)
    made = fold(model, [sale(1, START_US), billed(1), clicked(1)])
    assert (made.published, made.fresh) == (0, 2)
    made.apply(recorded(ModelPublished(1, {}), START_US + 1800 * SECOND))
    assert (made.published, made.fresh) == (1, 0)
    direct = ResponseModel(bits=10, waiting_max=100)
    context = features.context_keys(
        features.context_values(Context(site="s0.example", publisher_id="pub"), BANNER)
    )
    values = features.ad_values(CREATED[1].creative, CREATED[0].campaign)
    direct.learn("click", context, features.ad_keys([values])[0], 1, tier=TIER)
    assert model.learned()["click"][TIER] == 1, "its window had ended by then"
    published, expected = made.snapshot.head("click"), direct.publish().head("click")
    assert np.array_equal(published.weights, expected.weights)


steps = st.lists(
    st.tuples(
        st.sampled_from(["sale", "billed", "clicked", "viewable", "order", "change", "publish"]),
        st.integers(0, 12),
        st.integers(-30, 900),
    ),
    max_size=60,
)


def play(made: Learning, script, clock: int, versions: int) -> tuple[list[bytes], int]:
    """Apply a script of events; the digests of what was published, and the time it ended."""
    digests = []
    for kind, number, wait_s in script:
        clock += wait_s * SECOND
        if kind == "publish":
            event: Event = ModelPublished(versions + len(digests) + 1, {})
        elif kind == "change":
            creative = CREATED[1 + number % 2].creative
            event = CreativeChanged(msgspec.structs.replace(creative, categories=[f"{number}"]))
        elif kind == "sale":
            event = sale(number, clock, ad=number % 2, site=number % 3)
        else:
            event = {
                "billed": billed(number), "clicked": clicked(number),
                "viewable": measured(number, "viewable"), "order": converted(number),
            }[kind]  # fmt: skip
        made.apply(recorded(event, clock))
        if kind == "publish":
            digests.append(made.snapshot.digest())
    return digests, clock


@given(steps, steps)
@settings(max_examples=30)
def test_a_replay_publishes_the_same_versions_from_the_start_and_from_a_dump(before, after):
    def model() -> ResponseModel:
        return ResponseModel(bits=8, waiting_max=8)

    through = fold(model(), [], sales_max=5)
    first, clock = play(through, before, START_US, 0)
    rest, _ = play(through, after, clock, len(first))

    half_model = model()
    half = fold(half_model, [], sales_max=5)
    again, clock = play(half, before, START_US, 0)
    woken_model = model()
    woken = Learning(woken_model, sales_max=5)
    woken.load(half.dump())
    woken_model.load(half_model.dump())
    assert woken.dump() == half.dump()
    resumed, _ = play(woken, after, clock, len(again))
    assert again + resumed == first + rest
    assert woken.dump() == through.dump()
    woken.clear()
    assert woken.dump() == Learning(Told()).dump()


def test_other_bytes_are_no_state():
    with pytest.raises(msgspec.DecodeError):
        Learning(Told()).load(b"\x93\x01")


# ---- rows that nobody learned -------------------------------------------------------------------


def test_a_holdout_keeps_the_rows_that_a_model_would_learn():
    kept, model = Holdout(rows_max=50), ResponseModel(bits=10, waiting_max=1000)
    for target in (kept, model):
        made = fold(target, [])
        for number in range(80):
            ts_us = START_US + number * SECOND
            made.apply(recorded(sale(number, ts_us, ad=number % 2), ts_us))
            made.apply(recorded(billed(number), ts_us))
            if number % 4 == 0:
                made.apply(recorded(clicked(number), ts_us))
        made.apply(recorded(ModelPublished(1, {}), START_US + 7200 * SECOND))
    snapshot = made.snapshot
    judged = kept.judge(snapshot)
    assert set(judged) == {"click"}, "nobody measures an exchange's banner"
    labels = np.array([float(number % 4 == 0) for number in range(80)])[-50:]
    assert (judged["click"].rows, judged["click"].responses) == (50, int(labels.sum()))
    head = snapshot.head("click")
    contexts = np.repeat(
        [features.context_keys(
            features.context_values(Context(site="s0.example", publisher_id="pub"), BANNER)
        )], 2, axis=0,
    )  # fmt: skip
    ads = features.ad_keys(
        [features.ad_values(one.creative, CREATED[0].campaign) for one in CREATED[1:]]
    )
    p = head.p_ppb_many(head.pair_logits(contexts, ads), np.ones(2, np.int64)) / 1e9
    expected = reliability(p[np.arange(30, 80) % 2], labels)
    assert judged["click"] == expected
    kept.forget()
    assert kept.judge(snapshot) == {}


# ---- who is learned from --------------------------------------------------------------------------


def test_who_did_not_allow_measurement_trains_nothing_and_the_manifest_counts_the_others():
    told = Told()
    rows = (
        ("consented", True),
        ("less-personalised", False),
        ("general", True),
        ("consented", True),
    )
    events = [
        event
        for number, (tier, measurable) in enumerate(rows)
        for event in (
            changed(sale(number, START_US), tier=tier, measurable=measurable),
            billed(number), clicked(number),
        )
    ]  # fmt: skip
    made = fold(told, events)
    shown = [call[1] for call in told.calls if call[0] == "shown"]
    assert shown == [name(0), name(2), name(3)]
    assert made.tiers == {"consented": 2, "general": 1}
    again = fold(Told(), [])
    again.load(made.dump())
    assert again.tiers == made.tiers
