"""The day's spend, from the ledger's events: by hand and against a recount."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.budgets import DAY_S, KEEP_DAYS, Budgets
from ringwork.ads.model import Campaign
from ringwork.kernel.events import Recorded
from ringwork.kernel.ledger import AccountOpened, Ledger, TransferCreated, TransferExpired
from ringwork.kernel.money import Money

NOON_S = 20_000 * DAY_S + DAY_S // 2
CAPPED = Campaign(
    id="c", advertiser_id="adv", name="c", pricing="cpm", bid_nanos=10,
    budget=Money("EUR", 0, 1000), daily_budget=Money("EUR", 0, 100),
)  # fmt: skip
UNCAPPED = msgspec.structs.replace(CAPPED, daily_budget=None)


class Books:
    """A ledger and the budgets, hearing the same events."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.budgets = Budgets(self.ledger)
        for name in ("advertiser/adv", "campaign/c", "publisher/p"):
            self.hear(0, AccountOpened(name, "EUR", name != "advertiser/adv"))
        self.move(0, "fund", "single", "advertiser/adv", "campaign/c", 1000)

    def hear(self, at_s, event):
        recorded = Recorded(0, 1, b"e", at_s * 10**6, b"r", None, "main", None, None, event)
        for fold in (self.ledger, self.budgets):
            if isinstance(event, fold.hears):
                fold.apply(recorded)

    def move(self, at_s, id, kind, debit="campaign/c", credit="publisher/p", nanos=0, hold=""):
        self.hear(at_s, TransferCreated(id, kind, debit, credit, nanos, "EUR", hold))


def test_a_hold_counts_on_its_own_day_whatever_becomes_of_it():
    books = Books()
    late_s = NOON_S + DAY_S // 2 - 1
    for name in ("posted", "lowered", "voided", "expired", "open"):
        books.move(late_s, name, "pending", nanos=10)
    day = NOON_S // DAY_S
    assert books.budgets.spent_nanos("c", day) == 50
    books.move(late_s + 5, "p1", "post", nanos=10, hold="posted")
    books.move(late_s + 5, "p2", "post", nanos=4, hold="lowered")
    books.move(late_s + 5, "v", "void", hold="voided")
    books.hear(late_s + 60, TransferExpired("expired"))
    assert books.budgets.spent_nanos("c", day) == 10 + 4 + 0 + 0 + 10
    assert books.budgets.spent_nanos("c", day + 1) == 0
    assert books.budgets.free_nanos(CAPPED, late_s) == 76
    assert books.budgets.free_nanos(CAPPED, late_s + 1) == 100, "a new day"


def test_a_charge_counts_and_money_that_goes_back_does_not():
    books = Books()
    books.move(NOON_S, "click", "single", nanos=30)
    books.move(NOON_S, "back", "single", credit="advertiser/adv", nanos=500)
    assert books.budgets.spent_nanos("c", NOON_S // DAY_S) == 30
    assert books.budgets.free_nanos(CAPPED, NOON_S) == 70
    assert books.budgets.free_nanos(UNCAPPED, NOON_S) == 470


def test_the_account_binds_where_the_cap_does_not():
    books = Books()
    for day in range(9):
        books.move(NOON_S + day * DAY_S, f"d{day}", "single", nanos=100)
    books.move(NOON_S + 9 * DAY_S, "d9", "single", nanos=40)
    assert books.budgets.free_nanos(CAPPED, NOON_S + 9 * DAY_S) == 60
    assert books.budgets.free_nanos(CAPPED, NOON_S + 10 * DAY_S) == 60


def test_a_cap_lowered_below_the_day_s_spend_leaves_nothing():
    books = Books()
    books.move(NOON_S, "x", "single", nanos=80)
    lowered = msgspec.structs.replace(CAPPED, daily_budget=Money("EUR", 0, 50))
    assert books.budgets.free_nanos(lowered, NOON_S) == 0


def test_an_unknown_campaign_has_nothing():
    books = Books()
    assert books.budgets.free_nanos(msgspec.structs.replace(CAPPED, id="other"), NOON_S) == 0


def test_a_clock_set_back_meets_the_spend_it_had_and_beyond_memory_gets_nothing():
    books = Books()
    books.move(NOON_S, "x", "single", nanos=100)
    books.move(NOON_S + DAY_S, "y", "single", nanos=10)
    assert books.budgets.free_nanos(CAPPED, NOON_S) == 0
    books.move(NOON_S + KEEP_DAYS * DAY_S, "z", "single", nanos=10)
    assert books.budgets.free_nanos(CAPPED, NOON_S) == 0, "forgotten, so nothing is promised"
    books.move(NOON_S, "w", "pending", nanos=10)
    assert books.budgets.spent_nanos("c", NOON_S // DAY_S) == 0
    books.move(NOON_S, "w2", "void", hold="w")
    assert books.budgets.spent_nanos("c", NOON_S // DAY_S) == 0


moves = st.lists(
    st.tuples(
        st.integers(0, 30_000),  # seconds since the last
        st.sampled_from(["pending", "single", "post", "void", "expired"]),
        st.integers(1, 5),
        st.integers(0, 9),
    ),
    max_size=40,
)


@given(moves)
def test_spend_is_a_recount_and_survives_dump_and_load(script):
    books, holds, spent = Books(), {}, {}
    now_s = NOON_S
    for n, (step_s, kind, nanos, which) in enumerate(script):
        now_s += step_s
        day = now_s // DAY_S
        open_holds = sorted(holds)
        if kind in ("pending", "single"):
            books.move(now_s, f"t{n:03}", kind, nanos=nanos)
            spent[day] = spent.get(day, 0) + nanos
            if kind == "pending":
                holds[f"t{n:03}"] = (day, nanos)
        elif open_holds:
            hold = open_holds[which % len(open_holds)]
            held_day, held = holds.pop(hold)
            paid = min(nanos, held) if kind == "post" else 0
            spent[held_day] += paid - held
            if kind == "expired":
                books.hear(now_s, TransferExpired(hold))
            else:
                books.move(now_s, f"t{n:03}", kind, nanos=paid, hold=hold)
        restored = Budgets(books.ledger)
        restored.load(books.budgets.dump())
        assert restored.dump() == books.budgets.dump()
        for known in range(max(spent, default=0) - KEEP_DAYS + 1, max(spent, default=0) + 1):
            assert restored.spent_nanos("c", known) == spent.get(known, 0)
        assert len(msgspec.msgpack.decode(restored.dump())[0]) <= KEEP_DAYS


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["pay", "hold", "fund", "fund-hold", "refund-hold", "post", "void", "expired"]),
            st.integers(1, 60),
            st.integers(0, 9),
        ),
        max_size=40,
    )
)  # fmt: skip
def test_whose_means_have_changed_is_noted(script):
    books, holds = Books(), {}
    sides = {
        "hold": ("campaign/c", "publisher/p"),
        "fund-hold": ("advertiser/adv", "campaign/c"),
        "refund-hold": ("campaign/c", "advertiser/adv"),
    }

    def free() -> list[int]:
        return [
            books.budgets.free_nanos(one, NOON_S + day * DAY_S)
            for one in (CAPPED, UNCAPPED)
            for day in range(-KEEP_DAYS, 2)
        ]

    before = free()
    for n, (what, nanos, which) in enumerate(script):
        id = f"t{n}"
        if what in sides:
            debit, credit = sides[what]
            books.move(NOON_S, id, "pending", debit, credit, nanos)
            holds[id] = (debit, credit, nanos)
        elif what == "pay":
            books.move(NOON_S, id, "single", nanos=nanos)
        elif what == "fund":
            books.move(NOON_S, id, "single", "advertiser/adv", "campaign/c", nanos)
        elif holds:
            hold = sorted(holds)[which % len(holds)]
            debit, credit, held = holds.pop(hold)
            if what == "expired":
                books.hear(NOON_S, TransferExpired(hold))
            else:
                paid = min(nanos, held) if what == "post" else 0
                books.move(NOON_S, id, what, debit, credit, paid, hold)
        now = free()
        assert now == before or books.budgets.changed == {"c": None}
        books.budgets.changed.clear()
        before = now
