"""Reading the log over HTTP: pages, filters, sealed members, traces."""

import asyncio
from typing import ClassVar

from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.app import log_api
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.events import Event, encode_event, encode_frame
from ringwork.storage.sqlite.log import SqliteEventLog
from tests.app.served import EPOCH_US, serve
from tests.crash.shop import BID_REQUEST

CONTACT = "Ada Lovelace <ada@lovelace.example>"


async def fill(client, count: int = 7, first: int = 0) -> None:
    for number in range(first, first + count):
        made = await client.admin.post(
            "/v1/advertisers",
            json={"id": f"a{number}", "name": "N", "domain": "a.example", "currency": "EUR",
                  "contact": CONTACT},
        )  # fmt: skip
        assert made.status_code == 201, made.text


async def pages(client, **query) -> list[list[dict]]:
    found, after = [], "0"
    while after is not None:
        answer = await client.admin.get("/v1/log/events", params={**query, "after": after})
        assert answer.status_code == 200, answer.text
        found.append(answer.json()["events"])
        after = answer.json()["next"]
    return found


@settings(max_examples=5, deadline=None)
@given(st.integers(1, 30))
def test_pages_of_any_size_are_the_whole_log_once(tmp_path_factory, limit):
    async def scenario(client):
        await fill(client)
        await client.app.platform.journal.settled()
        whole = [one for page in await pages(client, limit=1000) for one in page]
        paged = await pages(client, limit=limit)
        assert [one for page in paged for one in page] == whole
        assert [one["seq"] for one in whole] == list(range(1, len(whole) + 1))
        assert max(len(page) for page in paged) <= limit
        of_type = await pages(client, limit=limit, type="advertiser_registered")
        assert [one for page in of_type for one in page] == [
            one for one in whole if one["type"] == "advertiser_registered"
        ]

    serve(tmp_path_factory.mktemp("log") / "data", scenario)


def test_a_cursor_or_limit_that_is_none_is_422_and_says_where(tmp_path):
    async def scenario(client):
        for query in ("after=x", "after=-1", "limit=0", "limit=1001", "limit=many"):
            answer = await client.admin.get(f"/v1/log/events?{query}")
            assert answer.status_code == 422, query
            assert answer.json()["errors"][0]["pointer"] == f"query/{query.partition('=')[0]}"

    serve(tmp_path / "data", scenario)


def test_a_trace_is_the_tree_of_one_request(tmp_path):
    async def scenario(client):
        await fill(client, 1)
        again = await client.admin.post(
            "/v1/advertisers",
            json={"id": "b", "name": "N", "domain": "b.example", "currency": "EUR"},
        )
        request_id = again.headers["x-request-id"]
        trace = (await client.admin.get(f"/v1/traces/{request_id}")).json()

        def flat(nodes):
            for node in nodes:
                yield node["event"]
                assert all(
                    one["event"]["cause_id"] == node["event"]["id"] for one in node["caused"]
                )
                yield from flat(node["caused"])

        events = list(flat(trace["roots"]))
        assert trace["events"] == len(events) > 1
        assert {event["request_id"] for event in events} == {request_id}
        assert "advertiser_registered" in {event["type"] for event in events}
        missing = await client.admin.get(f"/v1/traces/{'0' * 8}-0000-7000-8000-{'0' * 12}")
        assert missing.status_code == 404
        assert (await client.admin.get("/v1/traces/nonsense")).status_code == 422

    serve(tmp_path / "data", scenario)


def test_filters_restrict_and_are_honest_about_the_end(tmp_path):
    async def scenario(client):
        await fill(client, 3)
        await client.app.platform.indexed()
        whole = [one for page in await pages(client, limit=1000) for one in page]
        subject = whole[1]["subject"]
        for query, member, value in (
            ({"type": "account_opened"}, "type", "account_opened"),
            ({"subject": subject}, "subject", subject),
            ({"request_id": whole[0]["request_id"]}, "request_id", whole[0]["request_id"]),
        ):
            found = [one for page in await pages(client, limit=2, **query) for one in page]
            assert found == [one for one in whole if one[member] == value] != []
        both = {"subject": subject, "type": "account_opened"}
        assert [one for page in await pages(client, **both) for one in page] == []

    serve(tmp_path / "data", scenario)


def test_the_last_cursor_goes_on_where_the_log_does(tmp_path):
    """`next` is null on an empty page alone: a reader that keeps its last cursor misses nothing."""

    async def scenario(client):
        await fill(client, 1)
        await client.app.platform.journal.settled()
        page = (await client.admin.get("/v1/log/events")).json()
        assert page["events"]
        cursor = page["next"]
        end = (await client.admin.get("/v1/log/events", params={"after": cursor})).json()
        assert end == {"events": [], "next": None}
        await fill(client, 1, first=1)
        await client.app.platform.journal.settled()
        more = (await client.admin.get("/v1/log/events", params={"after": cursor})).json()
        assert [one["payload"]["advertiser"]["id"] for one in more["events"][1::2]] == ["a1"]
        beyond = (await client.admin.get("/v1/log/events", params={"after": "0-999999"})).json()
        assert beyond == {"events": [], "next": None}

    serve(tmp_path / "data", scenario)


def test_a_rare_filter_gets_short_pages_not_a_long_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(log_api, "SCANNED_MAX", 3)

    async def scenario(client):
        await fill(client, 5)
        await client.app.platform.journal.settled()
        found = await pages(client, type="no_such_event")
        assert len(found) > 3
        assert not any(found)
        of_type = await pages(client, type="advertiser_registered")
        assert sum(map(len, of_type)) == 5

    serve(tmp_path / "data", scenario)


def test_members_are_named_ids_are_text_and_what_is_personal_is_sealed(tmp_path):
    async def scenario(client):
        await fill(client, 1)
        without = {"id": "b", "name": "N", "domain": "b.example", "currency": "EUR"}
        await client.admin.post("/v1/advertisers", json=without)
        await client.key("viewer")
        answer = await client.admin.get("/v1/log/events?limit=1000")
        assert CONTACT not in answer.text
        first, second = [
            one for one in answer.json()["events"] if one["type"] == "advertiser_registered"
        ]
        assert first["payload"] == {
            "advertiser": {
                "id": "a0",
                "name": "N",
                "domain": "a.example",
                "currency": "EUR",
                "contact": "[sealed]",
            },
            "actor": "local",
        }
        assert second["payload"]["advertiser"]["contact"] is None
        assert (first["version"], first["tenant"], first["partition"]) == (1, "main", 0)
        assert first["purpose"] == "account administration"
        assert (second["subject"], second["purpose"]) == (None, None)
        key = next(one for one in answer.json()["events"] if one["type"] == "api_key_created")
        assert len(bytes.fromhex(key["payload"]["secret_sha256"])) == 32

    serve(tmp_path / "data", scenario)


class FromTheFuture(Event, frozen=True, array_like=True):
    """What a newer version wrote, before somebody went back to this one."""

    TYPE: ClassVar[str] = "moon_landed"
    crater: str


def test_an_event_that_nobody_knows_is_shown_raw_and_kept(tmp_path):
    data = tmp_path / "data"
    clock, ids = ManualClock(EPOCH_US), SeededEntropy(8)
    log = SqliteEventLog.open(data / "log", clock=clock, entropy=ids)
    event = encode_event(
        FromTheFuture("Copernicus"), id=ids.take(16), ts_us=EPOCH_US, request_id=ids.take(16),
        cause_id=None, tenant="main",
    )  # fmt: skip

    async def write() -> None:
        await log.append(encode_frame([event], None), 1)

    asyncio.run(write())
    log.close()

    async def scenario(client):
        await fill(client, 1)
        first = (await client.admin.get("/v1/log/events?limit=1")).json()["events"][0]
        assert (first["type"], first["seq"]) == ("moon_landed", 1)
        assert bytes.fromhex(first["payload"]["raw"])[2:] == b"Copernicus"

    serve(data, scenario)


def test_a_trace_of_a_sale_holds_what_came_of_it(tmp_path):
    """Beacon, click and conversion are events of the request they come from, below its auction."""

    async def scenario(client):
        await client.stock()
        sold = await client.outside.post("/openrtb2/auction", json=BID_REQUEST)
        bid = sold.json()["seatbid"][0]["bid"][0]
        assert (await client.outside.get(bid["burl"])).status_code == 204
        click = bid["adm"].partition("/c/")[2].partition('"')[0]
        assert (await client.outside.get(f"/c/{click}")).status_code == 302
        trace = (await client.admin.get(f"/v1/traces/{sold.headers['x-request-id']}")).json()
        (root,) = trace["roots"]
        assert root["event"]["type"] == "auction_cleared"
        assert sorted(one["event"]["type"] for one in root["caused"]) == [
            "answer_timed",
            "click_recorded",
            "impression_billed",
            "transfer_created",
            "transfer_created",
        ]

    serve(tmp_path / "data", scenario)
