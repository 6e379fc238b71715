"""The desk: whole bids until there is evidence, then what the plan needs; who has no plan is let be."""

from ringwork.ads.budgets import DAY_S
from ringwork.ads.model import Campaign
from ringwork.ads.pacing.desk import EVIDENCE, INTERVAL_S, PacingDesk
from ringwork.kernel.money import Money

NOON_S = 20_000 * DAY_S + DAY_S // 2


class Market:
    """Requests come evenly; a campaign buys the more, the more of its bid it bids."""

    def __init__(self, *campaigns: Campaign, per_s: int = 10) -> None:
        self.campaigns = {one.id: one for one in campaigns}
        self.paces: dict[str, int] = {}
        self.spent = dict.fromkeys(self.campaigns, 0)
        self.shown = dict.fromkeys(self.campaigns, 0)
        self.came = 0
        self.per_s = per_s
        self.desk = PacingDesk(
            self,
            live=lambda: iter(list(self.campaigns.values())),
            requests=lambda: self.came,
            sold=lambda id: self.shown[id],
            set_pace=self.paces.__setitem__,
        )

    def spent_nanos(self, campaign_id: str, day: int) -> int:
        return self.spent[campaign_id]

    def free_nanos(self, campaign: Campaign, now_s: int) -> int:
        return campaign.budget.total_nanos - self.spent[campaign.id]

    def live(self, seconds: int, now_s: int) -> int:
        for _ in range(seconds):
            now_s += 1
            self.came += self.per_s
            for id, one in self.campaigns.items():
                share = self.paces.get(id, 1_000_000) / 1_000_000
                self.shown[id] += self.came % 100 < share * 100
                free = one.daily_budget or one.budget
                price = int(1_000_000 * share)
                self.spent[id] = min(self.spent[id] + self.per_s * price, free.total_nanos)
            while self.desk.work(now_s):
                pass
        return now_s


def one(id: str, **members: object) -> Campaign:
    given = {
        "id": id, "advertiser_id": "a", "name": id, "pricing": "cpm", "bid_nanos": 1_000_000,
        "budget": Money.of_nanos("EUR", 10**12), **members,
    }  # fmt: skip
    return Campaign(**given)


def test_a_daily_budget_lasts_the_day():
    # At whole bids the budget of half a day would be gone within an hour.
    daily = Money.of_nanos("EUR", 36_000 * 1_000_000)
    market = Market(one("c", daily_budget=daily))
    now_s = market.live(6 * 3600, NOON_S)
    half = market.spent["c"] / daily.total_nanos
    assert 0.4 < half < 0.6
    market.live(6 * 3600 - 120, now_s)
    assert 0.95 < market.spent["c"] / daily.total_nanos <= 1


def test_it_bids_all_of_its_bid_until_there_is_evidence():
    market = Market(one("c", daily_budget=Money.of_nanos("EUR", 10**10)), per_s=0)
    market.live(3 * INTERVAL_S, NOON_S)
    assert market.paces == {}
    market.came = EVIDENCE
    market.live(2 * INTERVAL_S, NOON_S + 3 * INTERVAL_S)
    assert 0 < market.paces["c"] < 1_000_000


def test_who_has_no_plan_is_let_be_and_who_loses_it_bids_whole_again():
    paced = one("c", daily_budget=Money.of_nanos("EUR", 10**9))
    market = Market(paced, one("asap", pacing="asap"), one("endless"))
    now_s = market.live(3 * INTERVAL_S, NOON_S)
    assert set(market.paces) == {"c"}
    market.campaigns["c"] = one("c", pacing="asap")
    market.live(2 * INTERVAL_S, now_s)
    assert market.paces["c"] == 1_000_000


def test_a_guaranteed_campaign_takes_part_in_a_share_of_requests():
    promised = one(
        "g", priority="guaranteed", goal_impressions=1000, ends_us=(NOON_S + DAY_S) * 1_000_000
    )
    market = Market(promised)
    market.live(2 * 3600, NOON_S)
    assert market.paces["g"] < 500_000


def test_many_campaigns_are_looked_at_a_few_at_a_time():
    market = Market(*(one(f"c{n}", daily_budget=Money.of_nanos("EUR", 10**9)) for n in range(250)))
    market.came = 1000
    rounds = 0
    while market.desk.work(NOON_S):
        rounds += 1
    assert rounds == 3
    assert not market.desk.work(NOON_S + 1)
