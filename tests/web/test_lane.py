"""The fast lane as an ASGI application, without a server."""

import asyncio
import gzip
from collections.abc import Iterable

import pytest

from ringwork.kernel.errors import Conflict
from ringwork.kernel.ids import format_id
from ringwork.web.lane import Exchange, FastLane, Lane, Reply
from ringwork.web.metrics import Metrics

BODY_MAX = 1_000


class Site:
    def __init__(self, *, concurrency_max: int = 4) -> None:
        self.release = asyncio.Event()
        self.release.set()
        self.seen: list[Exchange] = []
        self.metrics = Metrics({})
        lanes = (
            Lane(path="/echo", methods=("POST",), handle=self.echo, body_max_bytes=BODY_MAX),
            Lane(path="/t/", methods=("GET",), handle=self.echo),
            Lane(path="/bug", methods=("GET",), handle=self.bug),
            Lane(path="/rule", methods=("GET",), handle=self.rule),
        )
        self.asgi = FastLane(
            lanes,
            self.rest,
            new_request_id=lambda: b"n" * 16,
            monotonic_ns=lambda: 0,
            metrics={lane.path: self.metrics.lane(lane.path) for lane in lanes},
            concurrency_max=concurrency_max,
        )

    async def echo(self, exchange: Exchange) -> Reply:
        self.seen.append(exchange)
        await self.release.wait()
        return Reply(200, exchange.body)

    async def bug(self, exchange: Exchange) -> Reply:
        raise ZeroDivisionError

    async def rule(self, exchange: Exchange) -> Reply:
        raise Conflict("no", "because")

    async def rest(self, scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 299, "headers": []})
        await send({"type": "http.response.body", "body": b"rest"})

    async def call(
        self,
        method: str,
        path: str,
        chunks: Iterable[bytes] = (),
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        parts = list(chunks) or [b""]
        sent: list[dict[str, object]] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        pairs = [(k.encode(), v.encode()) for k, v in (headers or {}).items()]
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": pairs,
            "client": ("127.0.0.1", 1),
        }
        await self.asgi(scope, receive, send)
        names = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
        return sent[0]["status"], names, sent[1]["body"]


def run(scenario) -> None:
    asyncio.run(scenario)


def test_exact_paths_and_one_segment_tokens():
    async def scenario() -> None:
        site = Site()
        assert (await site.call("POST", "/echo", [b"a", b"b"]))[2] == b"ab"
        assert (await site.call("GET", "/t/abc"))[0] == 200
        assert site.seen[-1].token == "abc"
        for path in ("/t/", "/t/a/b", "/t", "//echo", "/echo/", "/other"):
            assert (await site.call("POST", path))[0] == 299, path

    run(scenario())


def test_wrong_method_names_the_right_ones():
    async def scenario() -> None:
        status, headers, _ = await Site().call("DELETE", "/echo")
        assert (status, headers["allow"]) == (405, "POST")

    run(scenario())


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_beyond_the_bound_is_413(announced):
    async def scenario() -> None:
        site = Site()
        chunks = [b"x" * 600, b"x" * 600]
        headers = {"content-length": "1200"} if announced else {}
        status, _, body = await site.call("POST", "/echo", chunks, headers)
        assert status == 413
        assert b"at most 1000 bytes" in body
        assert site.seen == []

    run(scenario())


def test_gzip_is_inflated_within_the_bound():
    async def scenario() -> None:
        site = Site()
        coded = {"content-encoding": "gzip"}
        assert (await site.call("POST", "/echo", [gzip.compress(b"hello")], coded))[2] == b"hello"
        assert (await site.call("POST", "/echo", [gzip.compress(b"x" * 10**6)], coded))[0] == 413
        assert (await site.call("POST", "/echo", [b"no gzip"], coded))[0] == 415
        assert (await site.call("POST", "/echo", [gzip.compress(b"hello")[:-4]], coded))[0] == 415
        assert (await site.call("POST", "/echo", [b"x"], {"content-encoding": "br"}))[0] == 415

    run(scenario())


def test_request_ids_are_taken_when_valid_and_made_otherwise():
    async def scenario() -> None:
        site = Site()
        given = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
        assert (await site.call("GET", "/t/x", headers={"x-request-id": given}))[1][
            "x-request-id"
        ] == given
        made = (await site.call("GET", "/t/x", headers={"x-request-id": "<script>"}))[1][
            "x-request-id"
        ]
        assert made == format_id(b"n" * 16)

    run(scenario())


def test_more_than_may_run_at_once_is_503_before_the_body_is_read():
    async def scenario() -> None:
        site = Site(concurrency_max=2)
        site.release.clear()
        held = [asyncio.ensure_future(site.call("POST", "/echo", [b"x"])) for _ in range(2)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        status, headers, body = await site.call("POST", "/echo", [b"x"])
        assert (status, headers["retry-after"]) == (503, "1")
        assert b"urn:ringwork:problem:overloaded" in body
        site.release.set()
        assert [answer[0] for answer in await asyncio.gather(*held)] == [200, 200]
        assert site.asgi.running == 0

    run(scenario())


def test_rules_are_problems_and_bugs_tell_nothing():
    async def scenario() -> None:
        site = Site()
        status, headers, body = await site.call("GET", "/rule")
        assert (status, headers["content-type"]) == (409, "application/problem+json")
        assert b"urn:ringwork:problem:no" in body
        status, _, body = await site.call("GET", "/bug")
        assert status == 500
        assert b"ZeroDivision" not in body
        assert b"request_id" in body

    run(scenario())


def test_every_request_is_counted():
    async def scenario() -> None:
        site = Site()
        await site.call("POST", "/echo", [b"x"])
        await site.call("DELETE", "/echo")
        text = site.metrics.render().decode()
        assert 'ringwork_requests_total{endpoint="/echo",status="200"} 1.0' in text
        assert 'ringwork_requests_total{endpoint="/echo",status="405"} 1.0' in text
        assert 'ringwork_request_seconds_count{endpoint="/echo"} 2.0' in text

    run(scenario())
