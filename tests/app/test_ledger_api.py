"""The ledger over HTTP: the published scenarios, and what a client sees of them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ringwork.app.call import Reply, request
from ringwork.app.compose import Application, create
from ringwork.app.settings import Settings
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy

SCENARIOS = json.loads((Path(__file__).parents[1] / "vectors" / "ledger.json").read_text())
EPOCH_US = 1_764_158_400_000_000


class Desk:
    """A finance desk at an application of its own."""

    def __init__(self, data: Path) -> None:
        self.clock = ManualClock(EPOCH_US)
        self.app: Application = create(
            Settings(data=str(data)), clock=self.clock, entropy=SeededEntropy(1)
        )
        self._keys = 0

    async def post(self, path: str, body: object, *, key: str | None = None) -> Reply:
        self._keys += 1
        headers = {"content-type": "application/json", "idempotency-key": key or f"k{self._keys}"}
        return await request(self.app.local_admin, "POST", path, json.dumps(body).encode(), headers)

    async def get(self, path: str) -> Reply:
        return await request(self.app.local_admin, "GET", path, b"", {})

    def at(self, now_s: int) -> None:
        self.clock.set_wall_us(EPOCH_US + now_s * 1_000_000)


def run(data: Path, scenario: Callable[[Desk], Awaitable[None]]) -> None:
    async def live() -> None:
        desk = Desk(data)
        async with desk.app.platform.lifespan(desk.app):
            await scenario(desk)

    asyncio.run(live())


def money(nanos: int, currency: str = "EUR") -> dict[str, object]:
    sign = -1 if nanos < 0 else 1
    units, rest = divmod(abs(nanos), 10**9)
    return {"currency": currency, "units": sign * units, "nanos": sign * rest}


def nanos(value: dict[str, int]) -> int:
    return value["units"] * 10**9 + value["nanos"]


def asked(step: dict[str, object], currency: str) -> dict[str, object]:
    """A step of a scenario as a client writes it; the wire's Money always names a currency."""
    body = {"id": step["id"], "kind": step["kind"]}
    for ours, theirs in (
        ("debit_account", "debit"),
        ("credit_account", "credit"),
        ("pending_id", "pending_id"),
        ("timeout_s", "timeout_s"),
    ):
        if step.get(theirs):
            body[ours] = step[theirs]
    if step["kind"] != "void" or step.get("amount") or step.get("currency"):
        body["amount"] = money(step.get("amount", 0), step.get("currency") or currency)
    return body


@pytest.mark.parametrize("scenario", SCENARIOS[:24], ids=lambda scenario: scenario["name"])
def test_scenario(tmp_path, scenario):
    async def play(desk: Desk) -> None:
        for account in scenario["accounts"]:
            answer = await desk.post("/v1/ledger/accounts", account)
            assert answer.status == 201
        currencies: dict[str, str] = {}
        for step in scenario["steps"]:
            do = step["do"]
            own = do.get("currency") or currencies.get(do.get("pending_id", ""), "EUR")
            currencies.setdefault(do["id"], own)
            desk.at(do["now_s"])
            answer = await desk.post("/v1/ledger/transfers", asked(do, own))
            if step["expect"] == "created":
                assert (answer.status, answer.json) == (201, {"id": do["id"], "result": "created"})
            else:
                slug = answer.json["type"].rpartition(":")[2]
                assert (answer.status, slug) == (409, step["expect"]), step
        for id, total in scenario["final"].items():
            shown = (await desk.get(f"/v1/ledger/accounts/{id}")).json
            for name in ("debits_pending", "debits_posted", "credits_pending", "credits_posted"):
                assert nanos(shown[name]) == total[name]
        for balance in (await desk.get("/v1/ledger/trial-balance")).json["balances"]:
            assert balance["debits_posted"] == balance["credits_posted"]
            assert balance["debits_pending"] == balance["credits_pending"]

    run(tmp_path, play)


def test_a_repeated_transfer_answers_what_the_first_one_did(tmp_path):
    async def play(desk: Desk) -> None:
        for name, limited in (("cash", False), ("purse", True)):
            await desk.post(
                "/v1/ledger/accounts", {"id": name, "currency": "EUR", "limited": limited}
            )
        body = {
            "id": "t",
            "kind": "single",
            "debit_account": "purse",
            "credit_account": "cash",
            "amount": money(5),
        }
        first = await desk.post("/v1/ledger/transfers", body)
        assert (first.status, first.json["type"]) == (
            409,
            "urn:ringwork:problem:insufficient-funds",
        )
        fund = {
            "id": "f",
            "kind": "single",
            "debit_account": "cash",
            "credit_account": "purse",
            "amount": money(9),
        }
        assert (await desk.post("/v1/ledger/transfers", fund)).status == 201
        again = await desk.post("/v1/ledger/transfers", body)
        assert again.json["type"] == first.json["type"], "a refusal stands, funded or not"
        other = await desk.post("/v1/ledger/transfers", {**body, "amount": money(6)})
        assert other.json["type"].endswith("exists-with-different-amount")
        shown = (await desk.get("/v1/ledger/transfers/t")).json
        assert (shown["result"], shown["state"], shown["amount"]) == (
            "insufficient-funds",
            "refused",
            money(5),
        )

    run(tmp_path, play)


def test_what_memory_forgot_the_projection_remembers(tmp_path):
    async def play(desk: Desk) -> None:
        for name in ("cash", "till"):
            await desk.post("/v1/ledger/accounts", {"id": name, "currency": "EUR"})
        body = {
            "id": "old",
            "kind": "single",
            "debit_account": "cash",
            "credit_account": "till",
            "amount": money(5),
        }
        assert (await desk.post("/v1/ledger/transfers", body, key="first")).status == 201
        desk.at(2 * 3600)
        later = {**body, "id": "new"}
        assert (await desk.post("/v1/ledger/transfers", later)).status == 201
        assert desk.app.platform.memory.ledger.entries.keys() == {"new"}
        assert (await desk.post("/v1/ledger/transfers", body)).status == 201
        changed = await desk.post("/v1/ledger/transfers", {**body, "reference": "x"})
        assert changed.json["type"].endswith("exists-with-different-reference")
        balance = (await desk.get("/v1/ledger/accounts/till")).json
        assert nanos(balance["credits_posted"]) == 10, "the old transfer did not move money again"

    run(tmp_path, play)


def test_accounts_open_once_and_are_read_by_any_id(tmp_path):
    async def play(desk: Desk) -> None:
        account = {"id": "campaign/x y", "currency": "EUR", "limited": True}
        assert (await desk.post("/v1/ledger/accounts", account)).status == 201
        assert (await desk.post("/v1/ledger/accounts", account)).status == 200
        other = await desk.post("/v1/ledger/accounts", {**account, "limited": False})
        assert (other.status, other.json["type"].rpartition(":")[2]) == (409, "account-exists")
        assert (await desk.get("/v1/ledger/accounts/campaign/x y")).json["available"] == money(0)
        assert (await desk.get("/v1/ledger/accounts/none")).status == 404
        assert (await desk.get("/v1/ledger/transfers/none")).status == 404

    run(tmp_path, play)


def test_every_route_names_a_scope_or_is_open_on_purpose(tmp_path):
    async def play(desk: Desk) -> None:
        open_to_all = set()
        for route in desk.app.litestar.routes:
            for handler in getattr(route, "route_handlers", ()):
                if handler.http_methods != {"OPTIONS"} and "scope" not in handler.opt:
                    open_to_all.add(route.path)
        assert open_to_all == {
            "/", "/healthz", "/readyz", "/openapi.json",
            "/console/sign-in", "/console/static/{name:path}",
        }  # fmt: skip

    run(tmp_path, play)
