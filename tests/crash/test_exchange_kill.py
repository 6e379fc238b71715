"""kill -9 between an outside ad's impression and its billing notice: the notice is still sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from ringwork.app.verify import check_all
from tests.crash.server import Server
from tests.crash.shop import BID_REQUEST, open_shop

WITHIN_S = 30


class Dsp:
    """A bidder of another company: a real server on loopback."""

    def __init__(self) -> None:
        self.status = 503
        self.billed: list[str] = []
        self.heard = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                bid = {
                    "id": "b1", "impid": "0", "price": 9.0, "adm": "<b>ad</b>", "crid": "c",
                    "adomain": ["shop.example"], "w": 300, "h": 250,
                    "burl": f"{outer.url}/billed?p=${{AUCTION_PRICE}}",
                }  # fmt: skip
                answer = {"id": request["id"], "cur": "EUR", "seatbid": [{"bid": [bid]}]}
                self._answer(200, json.dumps(answer).encode())

            def do_GET(self) -> None:
                outer.billed.append(self.path)
                self._answer(outer.status, b"")
                outer.heard.set()

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._web.server_port}"
        threading.Thread(target=self._web.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._web.shutdown()
        self._web.server_close()


@pytest.fixture
def dsp() -> Iterator[Dsp]:
    dsp = Dsp()
    yield dsp
    dsp.close()


def test_a_notice_that_was_due_when_the_server_was_killed_is_sent_by_the_next(
    tmp_path: Path, dsp: Dsp
) -> None:
    data = tmp_path / "data"
    token = open_shop(data)
    bidders = f'[{{id = "dsp", endpoint = "{dsp.url}/bid", tmax_ms = 2000}}]'
    environment = {
        "RINGWORK_EXCHANGE__BIDDERS": bidders,
        "RINGWORK_EXCHANGE__TMAX_MS": "3000",
        "RINGWORK_EXCHANGE__SECURE": "false",
    }
    server = Server(data, environment)
    server.start()
    answer = httpx.post(f"{server.url}/openrtb2/auction", json=BID_REQUEST)
    (bid,) = answer.json()["seatbid"][0]["bid"]
    assert bid["adid"] == "x:dsp:b1"
    beacon = f"{server.url}/{bid['burl'].split('/', 3)[3]}"
    assert httpx.get(beacon).status_code == 204
    assert dsp.heard.wait(WITHIN_S)
    server.kill()

    price = f"/billed?p={bid['price']}"
    assert dsp.billed == [price]
    dsp.status = 204
    dsp.heard.clear()
    server.start()
    assert dsp.heard.wait(WITHIN_S)
    assert dsp.billed == [price, price]
    assert httpx.get(beacon).status_code == 204  # the viewer's page repeats itself
    events = f"{server.url}/v1/log/events?type=billing_notice_ended"
    key = {"authorization": f"Bearer {token}"}
    assert [e["payload"]["was_taken"] for e in httpx.get(events, headers=key).json()["events"]] == [
        True
    ]
    server.kill()
    server.start()
    assert httpx.get(f"{server.url}/readyz").status_code == 200
    assert server.terminate() == 0
    assert len(dsp.billed) == 2
    promises = check_all(data, lambda what, events: None)
    assert [one.detail for one in promises if one.violations] == []
