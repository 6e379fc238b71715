"""The tables against a recount of the events by hand, in any batches."""

import random
from itertools import pairwise

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.ads import projections
from ringwork.ads.events import (
    AnswerTimed,
    AuctionCleared,
    CampaignChanged,
    CampaignCreated,
    ConversionRecorded,
)
from ringwork.ads.model import Campaign, Slot, Targeting
from ringwork.ads.pacing_events import CampaignPaced
from ringwork.ads.projections import (
    HOUR_US,
    MINUTE_US,
    PROJECTIONS,
    AdConversions,
    AdHistory,
    AdPaces,
    AdRequests,
    Counts,
    RequestFilter,
    Span,
    TierCounts,
    metadata,
)
from ringwork.ads.projections.paces import PLAN_NOTES
from ringwork.kernel.events import Recorded
from ringwork.storage.sqlite.state import open_state
from ringwork.web.keys import ApiKeyCreated
from tests.ads.house import BANNER, House, changed, euros
from tests.ads.reports.town import live, settle


@pytest.fixture(scope="module")
def story():
    """Two requests in one hour, a third in the next; one of each outcome."""
    with House() as house:
        house.open()
        house.campaign("c1")
        house.creative("a1", "c1")
        house.campaign("c2", pricing="cpc", bid_nanos=10**8, budget=euros(10**10))
        house.creative("a2", "c2")
        house.clock.set_wall_us(1_764_158_400_000_000)
        _, [one, two] = house.serve(BANNER, changed(BANNER, id="2"))
        house.impression(one.tokens["impression"])
        house.impression(one.tokens["impression"])
        house.click(one.tokens["click"])
        house.clock.advance_us(6 * MINUTE_US)
        house.impression(two.tokens["impression"])
        house.serve(changed(BANNER, floor_nanos=10**9))
        house.clock.advance_us(HOUR_US)
        house.expire()
        house.campaign("c3", bid_nanos=10**6)
        _, [three] = house.serve()
        house.do(lambda c: c.record(AnswerTimed(700)), request_id=house.billing.verify(
            three.tokens["impression"], "impression").request_id)  # fmt: skip
        house.impression(three.tokens["impression"])
        yield house.events(), (one, two, three)


def applied(events: list[Recorded], sizes: list[int], following=PROJECTIONS) -> sa.Connection:
    """The tables after the events came in batches of ``sizes``, over and over."""
    engine = sa.create_engine("sqlite://")
    connection = engine.connect()
    metadata.create_all(connection)
    for projection in following:
        heard = [event for event in events if isinstance(event.payload, projection.hears)]
        position, turn = 0, 0
        while position < len(heard):
            size = sizes[turn % len(sizes)]
            projection.apply(connection, heard[position : position + size])
            position, turn = position + size, turn + 1
    return connection


@pytest.fixture
def tables(story):
    connection = applied(story[0], [3])
    yield connection
    connection.close()
    connection.engine.dispose()


START_US = 1_764_158_400_000_000
FIRST = Counts(requests=1, slots=2, sold=2, impressions=1, clicks=1, spent_nanos=500_000)
LATER = Counts(requests=1, slots=1, unbilled=1)


def test_minutes(tables):
    found = projections.minutes(tables, since_us=0, until_us=2**60)
    assert [span.ts_us - START_US for span in found] == [0, 6 * MINUTE_US, 66 * MINUTE_US]
    one, two, three = (span.counts for span in found)
    assert (one, two) == (FIRST, LATER)
    assert (three.requests, three.sold, three.impressions) == (1, 1, 1)
    assert (three.answers, three.disk_ns) == (1, 700)


def test_minutes_can_be_joined_and_cut(tables):
    ten = projections.minutes(tables, since_us=START_US, until_us=START_US + HOUR_US, step=10)
    both = Counts(
        requests=2, slots=3, sold=2, impressions=1, unbilled=1, clicks=1, spent_nanos=500_000
    )
    assert ten == [Span(START_US, both)]
    assert projections.minutes(tables, since_us=START_US, until_us=START_US) == []


def test_totals(tables):
    found = projections.totals(tables)
    assert (found.requests, found.slots, found.sold, found.impressions) == (3, 4, 3, 2)
    assert projections.totals(tables, since_us=START_US + HOUR_US).requests == 1


def test_campaigns_and_ads(tables):
    found = projections.campaign_counts(tables)
    assert set(found) == {"c1", "c2"}, "c3 has no ad, so nothing ever happened to it"
    assert (found["c1"].ranked, found["c1"].sold, found["c1"].impressions) == (3, 3, 2)
    assert (found["c1"].unbilled, found["c1"].clicks) == (1, 1)
    assert (found["c2"].ranked, found["c2"].sold) == (3, 0)
    assert set(projections.campaign_counts(tables, ["c2", "none"])) == {"c2"}
    hours = projections.campaign_hours(tables, "c1")
    assert [span.ts_us for span in hours] == [START_US, START_US + HOUR_US]
    assert projections.campaign_hours(tables, "c1", since_us=START_US + HOUR_US) == hours[1:]
    [(ad_id, counts)] = projections.creative_counts(tables, "c1").items()
    assert (ad_id, counts.sold, counts.impressions, counts.clicks) == ("a1", 3, 2, 1)
    assert projections.creative_counts(tables, "c2") == {}


def test_requests_newest_first(tables, story):
    one, two, _ = story[1]
    rows = projections.requests(tables, RequestFilter(), limit=10)
    assert [(row.outcome, row.slots, row.sold) for row in rows] == [
        ("billed", 1, 1), ("unsold", 1, 0), ("clicked", 2, 2),
    ]  # fmt: skip
    assert rows[0].disk_ns == 700
    assert {sale.impression_id for sale in rows[2].sales} == {one.impression_id, two.impression_id}
    assert (rows[0].source, rows[0].place, rows[0].formats) == ("native", "news.example", "banner")
    assert projections.requests(tables, RequestFilter(), limit=1) == rows[:1]
    assert projections.requests(tables, RequestFilter(before_seq=rows[1].seq), limit=9) == rows[2:]
    for wanted, expected in (
        (RequestFilter(id=rows[2].request_id), rows[2:]),
        (RequestFilter(id=two.impression_id), rows[2:]),
        (RequestFilter(id=b"x" * 16), []),
        (RequestFilter(campaign_id="c1"), [rows[0], rows[2]]),
        (RequestFilter(campaign_id="c2"), []),
        (RequestFilter(placement="top"), []),
        (RequestFilter(outcome="unsold"), rows[1:2]),
    ):
        assert projections.requests(tables, wanted, limit=9) == expected
    assert projections.waits_ns(tables, limit=5) == [700]


def test_a_sale_is_found_by_its_impression(tables, story):
    _, _, three = story[1]
    found = projections.sale(tables, three.impression_id)
    assert (found.campaign_id, found.ad_id, found.pricing) == ("c1", "a1", "cpm")
    assert found.price_nanos == three.price_nanos
    assert projections.sale(tables, b"x" * 16) is None


def test_the_oldest_requests_are_forgotten(story):
    connection = applied(story[0], [1], (AdRequests(kept_events=5),))
    rows = projections.requests(connection, RequestFilter(), limit=10)
    assert [row.outcome for row in rows] == ["billed"]
    connection.close()
    connection.engine.dispose()


def test_clear_leaves_nothing(story):
    connection = applied(story[0], [100])
    for projection in PROJECTIONS:
        projection.clear(connection)
    assert contents(connection) == {name: [] for name in metadata.tables}
    connection.close()
    connection.engine.dispose()


@pytest.mark.parametrize("pricing", ["cpm", "cpc", "cpa", "vcpm", "cpv"])
def test_spend_is_what_left_the_account_whatever_is_paid_for(pricing):
    """One sale of three comes to everything, one to an invalid click, one to nothing."""
    with House() as house:
        house.open()
        house.campaign(pricing=pricing, bid_nanos=10**9)
        house.creative(
            format="video", width=640, height=360, html="", duration_s=15,
            video_url="https://adv.example/a.mp4", video_mime="video/mp4",
        )  # fmt: skip
        for number, invalid in enumerate(("", "invalid-prefetch", None)):
            _, [sale] = house.serve(Slot(id="1", format="video", mimes=("video/mp4",)))
            if invalid is None:
                continue
            house.impression(sale.tokens["impression"])
            for measure in ("viewable", "view"):
                if measure in sale.tokens:
                    house.measure(sale.tokens[measure], measure)
            house.click(sale.tokens["click"], invalid)
            clicked = house.billing.verify(sale.tokens["click"], "click")
            house.convert(house.billing.conversion_token(clicked), f"order-{number}")
        account, events = house.ledger.accounts["campaign/c1"], house.events()
    left = account.debits_posted - account.credits_posted + 10**12
    assert left > 0
    connection = applied(events, [7])
    counts = projections.campaign_counts(connection)["c1"]
    found = (counts.sold, counts.impressions, counts.clicks, counts.conversions, counts.spent_nanos)
    assert found == (3, 2, 1, 1, left)
    [of_ad] = projections.creative_counts(connection, "c1").values()
    assert (of_ad.clicks, of_ad.conversions, of_ad.spent_nanos) == (1, 1, left)
    total = projections.totals(connection)
    assert (total.clicks, total.conversions, total.spent_nanos) == (1, 1, left)
    connection.close()
    connection.engine.dispose()


@pytest.mark.parametrize("seed", range(2))
def test_a_market_s_spend_is_what_left_its_accounts(seed):
    with House() as house:
        settle(house)
        live(house, random.Random(seed), 40)
        events, accounts = house.events(), house.ledger.accounts
        left = {
            one.id: one.budget.total_nanos - accounts[f"campaign/{one.id}"].credits_posted
            + accounts[f"campaign/{one.id}"].debits_posted
            for one in house.catalogue.campaigns.values()
        }  # fmt: skip
    connection = applied(events, [7])
    found = projections.campaign_counts(connection)
    assert {id: counts.spent_nanos for id, counts in found.items()} == left
    assert projections.totals(connection).spent_nanos == sum(left.values()) > 0
    connection.close()
    connection.engine.dispose()


def test_a_request_that_was_clicked_by_nobody_was_not_clicked():
    with House() as house:
        house.open()
        house.campaign()
        house.creative()
        _, [sold] = house.serve()
        house.impression(sold.tokens["impression"])
        house.click(sold.tokens["click"], "invalid-prefetch")
        connection = applied(house.events(), [1])
    [row] = projections.requests(connection, RequestFilter(), limit=2)
    assert row.outcome == "billed"
    connection.close()
    connection.engine.dispose()


def contents(connection: sa.Connection) -> dict[str, list[tuple[object, ...]]]:
    return {
        name: sorted(map(tuple, connection.execute(sa.select(table))))
        for name, table in metadata.tables.items()
    }


@settings(max_examples=25)
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_batches_do_not_matter(story, sizes):
    one, other = applied(story[0], [1]), applied(story[0], sizes)
    assert contents(one) == contents(other)
    for connection in (one, other):
        connection.close()
        connection.engine.dispose()


def test_the_projections_have_names_of_their_own():
    names = [projection.name for projection in PROJECTIONS]
    assert len(names) == len(set(names))
    assert AdRequests.name in names


def test_the_migrations_create_these_tables(tmp_path):
    state = open_state(tmp_path / "state.db")
    migrated = schema(state.reader)
    state.close()
    engine = sa.create_engine("sqlite://")
    metadata.create_all(engine)
    declared = schema(engine)
    engine.dispose()
    assert {name: migrated[name] for name in declared} == declared


def schema(engine: sa.Engine) -> dict[str, object]:
    """Table -> its columns, and its indexes with theirs."""
    with engine.connect() as connection:
        inspector = sa.inspect(connection)
        return {
            name: (
                connection.exec_driver_sql(f"PRAGMA table_info({name})").all(),
                sorted((one["name"], one["column_names"]) for one in inspector.get_indexes(name)),
            )
            for name in inspector.get_table_names()
        }


# ---- who changed what ---------------------------------------------------------------------------

CAMPAIGN = Campaign(
    id="c", advertiser_id="adv", name="c", pricing="cpm", bid_nanos=5, budget=euros(9), ends_us=7
)
campaigns = st.builds(
    changed,
    st.just(CAMPAIGN),
    name=st.sampled_from(["c", "d"]),
    bid_nanos=st.integers(1, 3),
    budget=st.integers(1, 3).map(euros),
    daily_budget=st.none() | st.integers(1, 3).map(euros),
    ends_us=st.none() | st.integers(1, 3),
    status=st.sampled_from(["active", "paused"]),
    targeting=st.builds(
        Targeting,
        hours=st.lists(st.integers(0, 2), max_size=2),
        key_values=st.dictionaries(st.sampled_from("ab"), st.just(["x"]), max_size=2),
    ),
)


@settings(max_examples=50)
@given(
    states=st.lists(campaigns, min_size=1, max_size=6),
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=3),
)
def test_undoing_every_change_leads_back_to_the_beginning(states, sizes):
    """The members that a row names, put back, must make the state before it, in any batches."""
    events = [recorded(1, CampaignCreated(CAMPAIGN, "k"))]
    events += [recorded(n, CampaignChanged(one, "k")) for n, one in enumerate(states, 2)]
    connection = applied(events, sizes, (AdHistory(),))
    rows = projections.history(connection, "campaign", "c", limit=99)
    assert [row.seq for row in rows] == list(range(len(events), 0, -1))
    state = pointers(states[-1])
    for row, after, before in zip(
        rows[:-1], reversed(states), [*reversed(states[:-1]), CAMPAIGN], strict=True
    ):
        assert state == pointers(after)
        for one in row.changes:
            old, new = msgspec.json.decode(one.old), msgspec.json.decode(one.new)
            assert old != new, "what did not change is not named"
            assert state.get(one.member) == new
            if old is None:
                del state[one.member]
            else:
                state[one.member] = old
        assert state == pointers(before)
    assert rows[-1].changes == ()
    connection.close()
    connection.engine.dispose()


def pointers(item):
    """Every member that says something, by a walk over its JSON."""
    defaults = {"/starts_us": 0, "/status": "active", "/priority": "price", "/pacing": "even",
                "/targeting/time_zone": "UTC", "/roadblock": False, "/view_through": False,
                "/review_reason": ""}  # fmt: skip

    def walk(at, value):
        for name, inner in value.items():
            pointer = f"{at}/{name}"
            if pointer == "/targeting" or pointer == "/targeting/excluded":
                yield from walk(pointer, inner)
            elif inner not in (None, [], {}) and defaults.get(pointer, ...) != inner:
                yield pointer, inner

    return dict(walk("", msgspec.to_builtins(item)))


def recorded(seq, event):
    return Recorded(0, seq, bytes(16), seq * 10, bytes(16), None, "main", None, None, event)


def test_a_key_s_label_stands_beside_its_id():
    events = [
        recorded(1, ApiKeyCreated("k", "manager", "Ana's laptop", b"")),
        recorded(2, CampaignCreated(CAMPAIGN, "k")),
        recorded(3, CampaignChanged(changed(CAMPAIGN, bid_nanos=9), "console")),
        recorded(4, CampaignChanged(CAMPAIGN)),
        recorded(5, CampaignCreated(changed(CAMPAIGN, id="other"), "k")),
    ]
    connection = applied(events, [2], (AdHistory(),))
    rows = projections.history(connection, "campaign", "c", limit=9)
    assert [(row.actor, row.label) for row in rows] == [
        ("", ""), ("console", ""), ("k", "Ana's laptop"),
    ]  # fmt: skip
    assert projections.history(connection, "campaign", "c", limit=1) == rows[:1]
    assert projections.history(connection, "campaign", "c", before_seq=3, limit=9) == rows[2:]
    assert projections.history(connection, "creative", "c", limit=9) == []
    connection.close()
    connection.engine.dispose()


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4))
@settings(max_examples=20)
def test_notes_of_pacing_are_kept_and_the_newest_is_found(sizes):
    def note(seq: int, id: str, spent: int) -> Recorded:
        event = CampaignPaced(id, "nanos", 0, 86_400, 100, spent, 50, None, 400_000)
        return Recorded(0, seq, b"", seq * 10**9, b"", None, "main", None, None, event)

    events = [note(1, "a", 1), note(2, "b", 2), note(5, "a", 3), note(9, "a", 4)]
    connection = applied(events, sizes, (AdPaces(),))
    kept = projections.paces(connection, "a", since_us=0, limit=9)
    assert [(row.ts_us, row.spent, row.reach) for row in kept] == [
        (10**9, 1, None), (5 * 10**9, 3, None), (9 * 10**9, 4, None),
    ]  # fmt: skip
    assert projections.paces(connection, "a", since_us=5 * 10**9, limit=1) == kept[2:]
    newest = projections.latest_paces(connection, ["a", "b", "none"])
    assert {id: row.spent for id, row in newest.items()} == {"a": 4, "b": 2}
    many = [f"x{n}" for n in range(600)] + ["b"]
    assert set(projections.latest_paces(connection, many)) == {"b"}
    connection.close()
    connection.engine.dispose()


def pace_note(seq: int, ts_s: int, *, begins_s: int, ends_s: int, id: str = "a") -> Recorded:
    event = CampaignPaced(id, "nanos", begins_s, ends_s, 100, 1, 2, None, 1)
    return Recorded(0, seq, b"", ts_s * 1_000_000, b"", None, "main", None, None, event)


def paces_of(events: list[Recorded], sizes: list[int], id: str = "a") -> list[int]:
    """When what is kept of a campaign was noted, in seconds."""
    connection = applied(events, sizes, (AdPaces(),))
    kept = projections.paces(connection, id, since_us=0, limit=10_000)
    newest = projections.latest_paces(connection, [id])
    assert [row.seq for row in newest.values()] == [row.seq for row in kept[-1:]]
    connection.close()
    connection.engine.dispose()
    return [row.ts_us // 1_000_000 for row in kept]


def test_a_day_of_notes_is_kept_whole_and_gone_two_days_after_its_end():
    today = [pace_note(n + 1, 900 * n, begins_s=0, ends_s=86_400) for n in range(96)]
    other = {"begins_s": 86_400, "ends_s": 9 * 86_400, "id": "b"}
    later = [pace_note(200, 3 * 86_400 - 1, **other), pace_note(201, 3 * 86_400, **other)]
    assert paces_of([*today, later[0]], [7]) == [900 * n for n in range(96)]
    assert paces_of([*today, *later], [7]) == []
    assert paces_of([*today, *later], [7], "b") == [3 * 86_400 - 1, 3 * 86_400]


@given(
    days=st.integers(1, 400),
    steps=st.lists(st.integers(0, 30_000), max_size=300),
    sizes=st.lists(st.integers(1, 50), min_size=1, max_size=4),
)
@settings(max_examples=40)
def test_a_plan_has_its_bound_of_notes_and_always_the_newest(days, steps, sizes):
    ends_s, now_s, events = days * 86_400, 0, []
    for seq, step in enumerate(steps, 1):
        now_s = min(now_s + step, ends_s)
        events.append(pace_note(seq, now_s, begins_s=0, ends_s=ends_s))
    kept = paces_of(events, sizes)
    apart_s = ends_s / PLAN_NOTES
    assert len(kept) <= PLAN_NOTES + 2
    assert kept[-1:] == [event.ts_us // 1_000_000 for event in events[-1:]]
    assert kept[:1] == [event.ts_us // 1_000_000 for event in events[:1]]
    assert all(b - a >= apart_s - 1 for a, b in pairwise(kept[:-1]))
    # Whatever was noted lies near what is kept: no hole is wider than life's own and the spacing.
    for event in events:
        assert any(0 <= event.ts_us // 1_000_000 - one <= apart_s for one in kept)


def test_a_clock_that_was_set_back_loses_no_note():
    notes = [pace_note(1, 50_000, begins_s=0, ends_s=86_400 * 30)]
    notes.append(pace_note(2, 40_000, begins_s=0, ends_s=86_400 * 30))
    assert paces_of(notes, [1]) == [50_000, 40_000]


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4))
@settings(max_examples=20)
def test_conversions_are_listed_newest_first_and_page_by_page(sizes):
    def order(seq: int, campaign: str, number: int) -> Recorded:
        event = ConversionRecorded(
            f"o{number}", b"i", campaign, "ad", "p", 10, 4, "EUR", b"sealed", "", number == 3
        )
        return Recorded(0, seq, b"", seq * 10, b"r", None, "main", None, None, event)

    events = [order(seq, "a" if seq % 2 else "b", seq) for seq in range(1, 8)]
    connection = applied(events, sizes, (AdConversions(),))
    first = projections.conversions(connection, "a", limit=3)
    assert [(row.seq, row.conversion_id, row.view_through) for row in first] == [
        (7, "o7", False), (5, "o5", False), (3, "o3", True),
    ]  # fmt: skip
    rest = projections.conversions(connection, "a", before_seq=3, limit=3)
    assert [row.seq for row in rest] == [1]
    stored = connection.execute(sa.text("SELECT * FROM ads_conversions")).all()
    assert b"sealed" not in {value for row in stored for value in row}
    connection.close()
    connection.engine.dispose()


def test_a_store_of_the_first_version_gets_the_new_tables(tmp_path):
    """What stood in it stays; the new projections begin with the log."""
    path = tmp_path / "state.db"
    open_state(path).close()
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        for table in (
            "ads_changes", "ads_items", "ads_actors", "ads_view_conversions", "ads_paces",
            "ads_paced", "ads_conversions", "consent_records",
            "ads_tiers", "consent_ads_free", "consent_days", "consent_asked", "ads_denied",
        ):  # fmt: skip
            connection.exec_driver_sql(f"DROP TABLE {table}")
        connection.exec_driver_sql("CREATE TABLE snapshots (name TEXT) STRICT")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
        connection.exec_driver_sql("INSERT INTO ads_creatives VALUES ('a', 'c', 1, 2, 3, 4, 5)")
    engine.dispose()
    state = open_state(path)
    with state.reader.connect() as connection:
        assert projections.creative_counts(connection, "c")["a"].spent_nanos == 5
        assert projections.history(connection, "campaign", "c", limit=1) == []
    state.close()


def test_tiers_are_counted_by_the_hour_and_older_requests_are_left_out(story):
    events = list(story[0])
    tiered, expected = [], {}
    for number, recorded in enumerate(events):
        one = recorded
        if isinstance(one.payload, AuctionCleared):
            tier = ("", "consented", "less-personalised", "general")[number % 4]
            one = changed(one, payload=changed(one.payload, tier=tier))
            if tier:
                counts = expected.setdefault(tier, TierCounts())
                counts.requests += 1
                counts.slots += len(one.payload.slots)
                counts.sold += sum(slot.impression_id is not None for slot in one.payload.slots)
                counts.eligible += sum(slot.eligible for slot in one.payload.slots)
                counts.decided_ns += sum(one.payload.stage_ns.values())
        tiered.append(one)
    assert expected
    connection = applied(tiered, [2, 3])
    assert projections.tiers(connection) == expected
    assert projections.tiers(connection, since_us=events[-1].ts_us + 2 * HOUR_US) == {}
    connection.close()
    connection.engine.dispose()
