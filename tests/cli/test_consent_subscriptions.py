"""``ringwork consent subscriptions`` on a store of its own, and the example of prices."""

from pathlib import Path

import msgspec
import pytest

from tests.cli.conftest import Ringwork

EXAMPLE = Path(__file__).parents[2] / "examples" / "meta-eu-prices.toml"
COMMAND = ("consent", "subscriptions")


def test_the_example_of_prices_is_loaded_once_and_says_what_was_announced(
    ringwork: Ringwork,
) -> None:
    done = ringwork(*COMMAND, "plans", "--load", str(EXAMPLE))
    assert (done.code, done.out) == (0, "1 plans and 9 prices are new\n")
    again = ringwork(*COMMAND, "plans", "--load", str(EXAMPLE), "--json")
    assert again.lines == [{"plans": 0, "prices": 0}]
    found = {
        (one["channel"], one["id"][-7:]): (one["price_nanos"], one["extra_account_nanos"])
        for one in ringwork(*COMMAND, "prices", "--plan", "no-ads", "--json").lines
    }
    cents = 10**7
    assert found["web", "2023-11"] == (999 * cents, 0)
    assert found["android", "2024-03"] == (1299 * cents, 800 * cents)
    assert found["ios", "2024-11"] == (799 * cents, 500 * cents)
    assert len(found) == 9
    assert [one["id"] for one in ringwork(*COMMAND, "plans", "--json").lines] == ["no-ads"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[prices]", "not TOML"),
        ("[[offers]]", "expected plans and prices, got ['offers']"),
        ("plans = 3", "expected tables [[plans]], got 3"),
        ('[[prices]]\nid = "a"', "prices 1: price: expected an amount like '12.34 EUR'"),
        (
            '[[prices]]\nprice = "1.00 EUR"\nvalid_from = "today"',
            "prices 1: valid_from: expected a day like 2026-03-01, got 'today'",
        ),
        (
            '[[prices]]\nprice = "1.00 EUR"\nextra_account = "1.00 USD"',
            "prices 1: extra_account: expected EUR, got USD",
        ),
    ],
)
def test_a_file_of_prices_that_cannot_be_read_says_where(
    ringwork: Ringwork,
    text: str,
    says: str,
) -> None:
    Path("prices.toml").write_text(text)
    done = ringwork(*COMMAND, "plans", "--load", "prices.toml")
    assert done.code == 2
    assert says in done.err


def test_without_a_provider_a_subscription_is_refused_and_nothing_is_listed(
    ringwork: Ringwork,
) -> None:
    ringwork(*COMMAND, "plans", "--load", str(EXAMPLE))
    new = {
        "id": "s", "person": "ana", "plan": "no-ads", "region": "EU", "channel": "web",
        "currency": "EUR", "payment_method": "card",
    }  # fmt: skip
    Path("ana.json").write_bytes(msgspec.json.encode(new))
    done = ringwork(*COMMAND, "subscribe", "ana.json")
    assert (done.code, done.out) == (2, "")
    assert "no payment provider is set" in done.err
    assert ringwork(*COMMAND, "list", "--json").lines == []
    assert "no subscription 's'" in ringwork(*COMMAND, "cancel", "s").err
    assert "no subscription 's'" in ringwork(*COMMAND, "refund", "s", "--amount", "2").err
    Path("ana.json").write_text("{")
    assert "ana.json: not JSON" in ringwork(*COMMAND, "subscribe", "ana.json").err


def test_a_subscription_is_taken_shown_and_cancelled_without_its_payer_on_the_screen(
    ringwork: Ringwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider is never reached: it waits for its first payment until it is cancelled."""
    Path("key").write_text("key")
    monkeypatch.setenv("RINGWORK_SUBSCRIPTIONS__PROVIDER_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("RINGWORK_SUBSCRIPTIONS__PROVIDER_KEY_FILE", "key")
    ringwork(*COMMAND, "plans", "--load", str(EXAMPLE))
    new = {
        "id": "s", "person": "ana", "plan": "no-ads", "region": "EU", "channel": "web",
        "currency": "EUR", "payment_method": "card",
    }  # fmt: skip
    Path("ana.json").write_bytes(msgspec.json.encode(new))
    assert ringwork(*COMMAND, "subscribe", "ana.json").out == "s: pending\n"
    assert ringwork(*COMMAND, "subscribe", "ana.json").out == "s: pending\n"
    shown = ringwork(*COMMAND, "show", "s")
    assert '"state": "pending"' in shown.out
    assert "ana" not in shown.out
    assert "card" not in shown.out
    assert "EUR" in ringwork(*COMMAND, "refund", "s", "--amount", "2.00 USD").err
    assert "expected an amount like" in ringwork(*COMMAND, "refund", "s", "--amount", "2").err
    assert "nothing is left" in ringwork(*COMMAND, "refund", "s", "--amount", "2.00 EUR").err
    assert "waiting for a payment" in ringwork(*COMMAND, "link", "s", "bob").err
    assert ringwork(*COMMAND, "unlink", "s", "bob").out == "s: pending\n"
    assert ringwork(*COMMAND, "cancel", "s").out == "s: expired\n"
    (listed,) = ringwork(*COMMAND, "list", "--state", "expired", "--json").lines
    assert (listed["id"], listed["reason"]) == ("s", "cancelled")
    assert "no such file" in ringwork(*COMMAND, "subscribe", "nobody.json").err
