"""A small shop to sell for: what a data directory needs before ads are served and money moves."""

from pathlib import Path

from ringwork.app.call import call
from ringwork.app.settings import Settings

CAMPAIGNS = 6
BUDGET_NANOS = 40_000_000
"""About twenty impressions at the bids below: budgets run out all the time."""


def euros(nanos: int) -> dict[str, object]:
    units, rest = divmod(nanos, 10**9)
    return {"currency": "EUR", "units": units, "nanos": rest}


def open_shop(data: Path, budget_nanos: int = BUDGET_NANOS) -> str:
    """Set up a publisher, an advertiser and campaigns in a stopped directory; returns an API key."""
    settings = Settings(data=str(data))

    def post(path: str, body: dict[str, object]) -> dict[str, object]:
        key = f"setup:{path}:{body.get('id')}"
        reply = call(settings, "POST", path, body, headers={"idempotency-key": key})
        assert reply.status in (200, 201), reply.body
        return reply.json

    token = post("/v1/keys", {"role": "admin", "label": "test"})["token"]
    post("/v1/ledger/accounts", {"id": "cash", "currency": "EUR"})
    post("/v1/ledger/accounts", {"id": "purse", "currency": "EUR", "limited": True})
    post("/v1/publishers", {"id": "pub", "name": "Pub", "domain": "pub.example"})
    post(
        "/v1/advertisers", {"id": "adv", "name": "Adv", "domain": "adv.example", "currency": "EUR"}
    )
    post(
        "/v1/ledger/transfers",
        {
            "id": "deposit",
            "kind": "single",
            "debit_account": "cash",
            "credit_account": "advertiser/adv",
            "amount": euros(10**12),
        },
    )
    for number in range(CAMPAIGNS):
        pricing = ("cpm", "cpm", "cpc")[number % 3]
        bid = {"cpm": 1_500_000 + number * 100_000, "cpc": 400_000_000}[pricing]
        campaign = {
            "id": f"c{number}", "advertiser_id": "adv", "name": f"Campaign {number}",
            "special_ad_categories": [], "pricing": pricing, "bid_nanos": bid,
            "budget": euros(budget_nanos if pricing == "cpm" else budget_nanos * 50),
        }  # fmt: skip
        if number == 1:
            campaign["daily_budget"] = euros(budget_nanos // 2)
        post("/v1/campaigns", campaign)
        post("/v1/creatives", {
            "id": f"c{number}.a", "campaign_id": f"c{number}", "name": "Ad", "format": "banner",
            "width": 300, "height": 250, "landing_url": "https://adv.example/", "html": "<b>Ad</b>",
        })  # fmt: skip
    return token


BID_REQUEST = {
    "id": "r",
    "imp": [{"id": "1", "banner": {"w": 300, "h": 250}, "bidfloor": 0.3, "bidfloorcur": "EUR"}],
    "site": {"domain": "pub.example", "publisher": {"id": "pub"}},
    "cur": ["EUR"],
    "at": 1,
}
