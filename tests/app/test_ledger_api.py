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


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
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


def test_repetitions_answer_the_first_bytes(tmp_path):
    async def play(desk: Desk) -> None:
        for name in ("cash", "purse"):
            account = {"id": name, "currency": "EUR", "limited": name == "purse"}
            await desk.post("/v1/ledger/accounts", account)
        bodies = [
            {"id": id, "kind": "single", "debit_account": debit, "credit_account": credit,
             "amount": money(9)}
            for id, debit, credit in (("poor", "purse", "cash"), ("paid", "cash", "purse"))
        ]  # fmt: skip
        path = "/v1/ledger/transfers"
        refused, paid = [await desk.post(path, body, key=body["id"]) for body in bodies]
        assert (refused.status, paid.status) == (409, 201)
        seq = desk.app.platform.journal.seq
        for body, first in zip(bodies, (refused, paid), strict=True):
            again = await desk.post(path, body, key=body["id"])
            assert (again.status, again.body) == (first.status, first.body)
        assert desk.app.platform.journal.seq == seq
        other_key = await desk.post(path, bodies[1], key="other")
        assert (other_key.status, other_key.body) == (paid.status, paid.body)

    run(tmp_path, play)


BAD = {
    "no key": ({}, {}, 400, "idempotency-key-required", None),
    "an unknown member": ({"amuont": 1}, {"idempotency-key": "k"}, 422, "invalid", ""),
    "no id": ({"id": ""}, {"idempotency-key": "k"}, 422, "invalid", "/id"),
    "an id too long": ({"id": "x" * 65}, {"idempotency-key": "k"}, 422, "invalid", "/id"),
    "another kind": ({"kind": "gift"}, {"idempotency-key": "k"}, 422, "invalid", "/kind"),
    "a float": ({"amount": 1.5}, {"idempotency-key": "k"}, 422, "invalid", "/amount"),
    "mixed signs": (
        {"amount": {"currency": "EUR", "units": 1, "nanos": -1}},
        {"idempotency-key": "k"}, 422, "invalid", "/amount",
    ),
    "a timeout of a year and more": (
        {"timeout_s": 31_622_401}, {"idempotency-key": "k"}, 422, "invalid", "/timeout_s",
    ),
    "a post without amount": (
        {"kind": "post", "amount": None}, {"idempotency-key": "k"}, 409, "amount-required", "/amount",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "headers", "status", "slug", "pointer"), BAD.values(), ids=BAD)
def test_what_is_no_transfer_is_refused_and_moves_nothing(
    tmp_path, change, headers, status, slug, pointer
):
    async def play(desk: Desk) -> None:
        body = {
            "id": "t",
            "kind": "single",
            "debit_account": "cash",
            "credit_account": "purse",
            "amount": money(5),
            **change,
        }
        sent = {"content-type": "application/json", **headers}
        answer = await request(
            desk.app.local_admin, "POST", "/v1/ledger/transfers", json.dumps(body).encode(), sent
        )
        assert (answer.status, answer.json["type"].rpartition(":")[2]) == (status, slug)
        pointers = [fault["pointer"] for fault in answer.json.get("errors", ())]
        assert pointers == ([] if pointer is None else [pointer])
        assert (await desk.get("/v1/ledger/transfers/t")).status == 404

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
            "/", "/healthz", "/readyz", "/openapi.json", "/ads.txt", "/app-ads.txt", "/sellers.json", "/.well-known/gpc.json", "/why/{impression_id:str}",
            "/console/sign-in", "/console/static/{name:path}", "/v1/payment-notices",
        }  # fmt: skip

    run(tmp_path, play)
