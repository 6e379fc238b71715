"""Reading the log: pages, filters, sealed members, traces; and erasing a person from it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.ads.personal import Personal
from ringwork.app.secrets import Pseudonyms
from tests.app.served import serve

CONTACT = "Ada Lovelace <ada@lovelace.example>"


async def fill(client, count: int = 7) -> None:
    for number in range(count):
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


def test_erasing_makes_a_contact_unreadable_everywhere_and_proves_it(tmp_path):
    data = tmp_path / "data"

    async def scenario(client):
        await fill(client, 2)
        assert CONTACT not in (await client.admin.get("/v1/log/events?limit=1000")).text
        assert "[sealed]" in (await client.admin.get("/v1/log/events?limit=1000")).text
        platform = client.app.platform
        personal = Personal(platform.keys, Pseudonyms(platform.secrets.pseudonym))
        kept = platform.memory.catalogue.advertisers["a0"]
        event_id = platform.memory.catalogue.registrations["a0"]
        member = {"event_id": event_id, "member": "advertiser.contact"}
        assert personal.unseal("advertiser/a0", kept.contact, **member) == CONTACT

        erased = await client.admin.post("/v1/erasures", json={"subject": "advertiser/a0"})
        assert erased.status_code == 201
        assert erased.json()["keys_deleted"] == 1
        assert personal.unseal("advertiser/a0", kept.contact, **member) is None
        other = platform.memory.catalogue.advertisers["a1"]
        member["event_id"] = platform.memory.catalogue.registrations["a1"]
        assert personal.unseal("advertiser/a1", other.contact, **member) == CONTACT

        proof = (await client.admin.get(f"/v1/erasures/{erased.json()['id']}")).json()
        assert proof["holds"] is True
        assert {one["store"]: one["readable"] for one in proof["searched"]} == {
            "event log": 0,
            "key store": 0,
            "projections": 0,
        }
        assert proof["searched"][0]["found"] == 1
        again = await client.admin.post("/v1/erasures", json={"subject": "advertiser/a0"})
        assert again.json()["keys_deleted"] == 0

    serve(data, scenario)
    raw = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    assert CONTACT.encode() not in raw
    assert b"lovelace" not in raw
