"""The management commands of a terminal, on a store of their own."""

import msgspec
import pytest

from ringwork.app.call import call
from ringwork.app.settings import Settings
from tests.ads.office import ADVERTISER, CAMPAIGN, CREATIVE, PUBLISHER, SITE
from tests.cli.conftest import data, ringwork  # noqa: F401  # fixtures

FUNDS = {
    "id": "in", "kind": "single", "debit_account": "cash", "credit_account": "advertiser/hp",
    "amount": {"currency": "EUR", "units": 500, "nanos": 0},
}  # fmt: skip


@pytest.fixture
def store(ringwork, data, tmp_path):  # noqa: F811
    """A campaign that waits for review, with a creative."""
    settings = Settings(data=str(data))

    def post(path, body):
        answer = call(settings, "POST", path, body, headers={"idempotency-key": path + str(body)})
        assert answer.status in (200, 201), answer.body

    post("/v1/advertisers", ADVERTISER)
    post("/v1/ledger/accounts", {"id": "cash", "currency": "EUR"})
    post("/v1/ledger/transfers", FUNDS)
    post("/v1/publishers", PUBLISHER)
    post("/v1/campaigns", {**CAMPAIGN, "status": "review"})
    post("/v1/campaigns", {**CAMPAIGN, "id": "winter"})
    post("/v1/creatives", CREATIVE)

    def write(name, body):
        (tmp_path / name).write_bytes(msgspec.json.encode(body))
        return name

    return ringwork, write


def test_lists_are_filtered(store):
    ringwork, _ = store  # noqa: F811
    done = ringwork("ads", "campaigns", "--status", "review", "--json")
    assert [line["id"] for line in done.lines] == ["autumn"]
    assert [x["id"] for x in ringwork("ads", "campaigns", "--q", "WINT", "--json").lines] == [
        "winter"
    ]
    assert ringwork("ads", "campaigns", "--advertiser", "none", "--json").lines == []
    assert [
        x["id"] for x in ringwork("ads", "creatives", "--campaign", "autumn", "--json").lines
    ] == ["blue"]
    assert ringwork("ads", "campaigns", "--status", "gone").code == 2


def test_sites_are_made_from_a_file(store):
    ringwork, write = store  # noqa: F811
    assert ringwork("ads", "sites", "--create", write("site.json", SITE)).out == "front: created\n"
    assert [line["id"] for line in ringwork("ads", "sites", "--json").lines] == ["front"]


def test_a_review_is_given_and_stands_in_the_history(store):
    ringwork, _ = store  # noqa: F811
    refused = ringwork("ads", "review", "campaign", "autumn", "reject")
    assert refused.code != 0
    assert "takes a reason" in refused.err
    done = ringwork("ads", "review", "campaign", "autumn", "reject", "--reason", "no such shop")
    assert done.out == "autumn: rejected\n"
    assert ringwork("ads", "review", "campaign", "autumn", "return", "--reason", "x").code != 0
    rejected, created = ringwork("ads", "history", "campaign", "autumn", "--json").lines
    assert (rejected["action"], rejected["reason"], rejected["by"]) == (
        "reject",
        "no such shop",
        "local",
    )
    assert created["action"] == "create"
    shown = ringwork("ads", "history", "campaign", "autumn").out
    assert "/status" in shown
    assert "no such shop" in shown
    assert ringwork("ads", "history", "creative", "none").code != 0


def test_a_check_says_what_is_wrong_and_creates_nothing(store):
    ringwork, write = store  # noqa: F811
    good = write("good.json", {**CREATIVE, "id": "red"})
    bad = write("bad.json", {**CREATIVE, "id": "red", "width": 0})
    assert "Would be taken" in ringwork("ads", "check", good).out
    done = ringwork("ads", "check", bad)
    assert "Would be refused" in done.out
    assert "/width" in done.out
    [answer] = ringwork("ads", "check", bad, "--json").lines
    assert answer["accepted"] is False
    assert ringwork("ads", "creatives", "red").code != 0
    assert ringwork("ads", "check", "none.json").code == 2
