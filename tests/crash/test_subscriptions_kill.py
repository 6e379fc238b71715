"""kill -9 while the payment provider has the money and has not said so: charged once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from ringwork.app.call import call
from ringwork.app.settings import Settings
from ringwork.app.verify import check_all
from tests.crash.server import Server

WITHIN_S = 30


class Bank:
    """A provider of another company: a real server on loopback, the same key the same payment."""

    def __init__(self) -> None:
        self.payments: dict[str, int] = {}
        self.asked: list[str] = []
        self.taken = threading.Event()
        self.may_answer = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                key = self.headers["idempotency-key"]
                assert self.headers["authorization"] == "Bearer bank-key"
                outer.asked.append(key)
                outer.payments.setdefault(key, body["amount_minor"])
                outer.taken.set()
                outer.may_answer.wait(WITHIN_S)
                answer = {"status": "succeeded", "id": "p1", "amount_minor": outer.payments[key]}
                raw = json.dumps(answer).encode()
                try:
                    self.send_response(200)
                    self.send_header("content-length", str(len(raw)))
                    self.end_headers()
                    self.wfile.write(raw)
                except OSError:
                    pass  # who asked was killed

            def log_message(self, *args: object) -> None:
                pass

        self._web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._web.server_port}"
        threading.Thread(target=self._web.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.may_answer.set()
        self._web.shutdown()
        self._web.server_close()


@pytest.fixture
def bank() -> Iterator[Bank]:
    bank = Bank()
    yield bank
    bank.close()


def sell(data: Path) -> str:
    """A plan with a price, in a stopped directory; returns an API key."""
    settings = Settings(data=str(data))
    token = call(settings, "POST", "/v1/keys", {"role": "admin"}).json["token"]
    price = {"id": "p", "plan": "plus", "channel": "web", "currency": "EUR"}
    price |= {"price_nanos": 5_990_000_000, "valid_from_us": 0}
    for path, body in (
        ("/v1/plans", {"id": "plus", "name": "No ads"}),
        ("/v1/plan-prices", price),
    ):
        assert call(settings, "POST", path, body).status == 201
    return token


def test_a_server_killed_between_charge_and_record_charges_once(tmp_path: Path, bank: Bank) -> None:
    data = tmp_path / "data"
    token = sell(data)
    (tmp_path / "key").write_text("bank-key\n")
    server = Server(
        data,
        {
            "RINGWORK_SUBSCRIPTIONS__PROVIDER_URL": bank.url,
            "RINGWORK_SUBSCRIPTIONS__PROVIDER_KEY_FILE": str(tmp_path / "key"),
        },
    )
    server.start()
    headers = {"authorization": f"Bearer {token}", "idempotency-key": "ana-1"}
    new = {
        "id": "s", "person": "ana", "plan": "plus", "region": "PT", "channel": "web",
        "currency": "EUR", "payment_method": "card",
    }  # fmt: skip
    made = httpx.post(f"{server.url}/v1/subscriptions", json=new, headers=headers)
    assert (made.status_code, made.json()["state"]) == (201, "pending")
    assert bank.taken.wait(WITHIN_S)
    server.kill()

    bank.may_answer.set()
    server.start()
    again = httpx.post(f"{server.url}/v1/subscriptions", json=new, headers=headers)
    assert again.content == made.content, "the first answer, byte for byte"
    deadline = time.monotonic() + WITHIN_S
    state = ""
    while state != "active" and time.monotonic() < deadline:
        shown = httpx.get(f"{server.url}/v1/subscriptions/s", headers=headers).json()
        state = shown["state"]
    assert (state, shown["paid_nanos"]) == ("active", 5_990_000_000)
    assert server.terminate() == 0
    assert list(bank.payments.values()) == [599]
    assert len(set(bank.asked)) == 1
    assert len(bank.asked) == 2
    promises = check_all(data, lambda what, events: None)
    assert [one.detail for one in promises if one.violations] == []
