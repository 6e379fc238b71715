"""The live stream of the log: cursors as ids, resumed without a gap, only what is durable."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.app import log_api
from tests.app.served import Client, serve, until
from tests.crash.server import Server
from tests.storage.disks import Disk


class Stream:
    """One reader of ``/v1/log/stream``, that may leave before its end."""

    def __init__(self, client: Client, last_event_id: str | None) -> None:
        self.status = 0
        self.text = ""
        self.has_ended = False
        self._gone = asyncio.Event()
        headers = [(b"host", b"localhost")]
        if last_event_id is not None:
            headers.append((b"last-event-id", last_event_id.encode()))
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
            "scheme": "http", "path": "/v1/log/stream", "raw_path": b"/v1/log/stream",
            "query_string": b"", "root_path": "", "headers": headers, "client": None,
            "server": ("localhost", 0), "state": {},
        }  # fmt: skip
        self.task = asyncio.create_task(client.app.local_admin(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, object]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.text += message.get("body", b"").decode()
            if not message.get("more_body", False):
                self.has_ended = True
                self._gone.set()  # as a server says it, to whom the response is complete

    def leave(self) -> None:
        self._gone.set()

    @property
    def messages(self) -> list[tuple[str, str, dict]]:
        """(id, event, data) of every whole message so far."""
        found = []
        for block in self.text.split("\n\n")[:-1]:
            if block.startswith("id: "):
                lines = dict(line.split(": ", 1) for line in block.split("\n"))
                found.append((lines["id"], lines["event"], json.loads(lines["data"])))
        return found

    async def brings(self, count: int) -> Self:
        await until(lambda: len(self.messages) >= count)
        assert len(self.messages) == count
        return self


@asynccontextmanager
async def listening(client: Client, last_event_id: str | None = None) -> AsyncIterator[Stream]:
    stream = Stream(client, last_event_id)
    await until(lambda: stream.status or stream.task.done())
    try:
        yield stream
    finally:
        stream.leave()
        await stream.task


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_api, "STREAM_POLL_S", 0.001)


async def open_accounts(client: Client, *ids: str) -> None:
    for id in ids:
        body = {"id": id, "currency": "EUR"}
        made = await client.admin.post(
            "/v1/ledger/accounts", json=body, headers={"idempotency-key": id}
        )
        assert made.status_code == 201


def test_who_listens_gets_what_happens_from_now_on(tmp_path):
    async def scenario(client: Client) -> None:
        await open_accounts(client, "before")
        async with listening(client) as stream:
            await open_accounts(client, "a", "b")
            await stream.brings(2)
            whole = (await client.admin.get("/v1/log/events")).json()["events"]
            assert [data for _, _, data in stream.messages] == whole[1:]
            assert [event for _, event, _ in stream.messages] == ["account_opened"] * 2
            for id, _, data in stream.messages:
                after = (await client.admin.get("/v1/log/events", params={"after": id})).json()
                assert [one["seq"] for one in after["events"]] == [*range(data["seq"] + 1, 4)]

    serve(tmp_path / "data", scenario)


@settings(max_examples=6)
@given(left_after=st.integers(1, 5), page=st.integers(1, 3))
def test_who_comes_back_misses_nothing_and_gets_nothing_twice(tmp_path_factory, left_after, page):
    async def scenario(client: Client) -> None:
        await open_accounts(client, "1", "2", "3")
        async with listening(client, "0") as stream:
            await stream.brings(3)
            await open_accounts(client, "4", "5")
            await stream.brings(5)
            first = stream.messages[:left_after]
        await open_accounts(client, "6")
        async with listening(client, first[-1][0]) as stream:
            second = (await stream.brings(6 - left_after)).messages
        ids = [data["payload"]["id"] for _, _, data in first + second]
        assert ids == ["1", "2", "3", "4", "5", "6"]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(log_api, "STREAM_PAGE", page)
        serve(tmp_path_factory.mktemp("stream") / "data", scenario)


def test_what_is_not_durable_is_not_told(tmp_path):
    disk = Disk()

    async def scenario(client: Client) -> None:
        async with listening(client) as stream:
            with disk.stall():
                opening = asyncio.create_task(open_accounts(client, "a"))
                await until(lambda: "a" in client.app.platform.memory.ledger.accounts)
                for _ in range(20):
                    await asyncio.sleep(0.001)
                assert stream.messages == []
            await opening
            await stream.brings(1)

    serve(tmp_path / "data", scenario, open_database=disk.open)


def test_silence_is_broken_by_heartbeats(tmp_path, monkeypatch):
    monkeypatch.setattr(log_api, "HEARTBEAT_S", 0.003)

    async def scenario(client: Client) -> None:
        async with listening(client) as stream:
            await until(lambda: stream.text.count(": heartbeat\n\n") >= 2)
            await open_accounts(client, "a")
            await stream.brings(1)

    serve(tmp_path / "data", scenario)


@pytest.mark.parametrize("cursor", ["x", "-1", "0-", "1-2-3", "0-99999999999999999999"])
def test_a_cursor_that_is_none_is_422(tmp_path, cursor):
    async def scenario(client: Client) -> None:
        answer = await client.admin.get("/v1/log/stream", headers={"last-event-id": cursor})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "header/Last-Event-ID"

    serve(tmp_path / "data", scenario)


def test_a_stream_ends_when_the_server_stops_or_its_reader_leaves(tmp_path):
    async def scenario(client: Client) -> None:
        async with listening(client) as left, listening(client) as stayed:
            left.leave()
            await left.task
            assert not stayed.task.done()
            client.app.end_streams()
            await stayed.task
            assert stayed.has_ended

    serve(tmp_path / "data", scenario)


def test_a_stop_does_not_wait_for_who_listens(data, token):
    server = Server(data)
    server.start()
    headers = {"authorization": f"Bearer {token}", "last-event-id": "0"}
    with httpx.stream("GET", f"{server.url}/v1/log/stream", headers=headers, timeout=20) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "id: 0-1"
        assert server.terminate() == 0
        assert [line for line in lines if line.startswith("id: ")][-1].startswith("id: 0-")
    assert "Traceback" not in server.lines
