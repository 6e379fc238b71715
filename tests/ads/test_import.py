"""Bulk import over HTTP: every line its own effect, in order, once, and what bounds it."""

import asyncio
import json

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.ads import importing
from ringwork.ads.events import CampaignCreated, CreativeCreated
from ringwork.ads.import_lines import IMPORT_LINES_MAX, IMPORT_MAX_BYTES
from ringwork.ads.importing import FRAME_BYTES, FRAME_LINES, IMPORTS_AT_ONCE
from ringwork.kernel.errors import StorageFull
from ringwork.web.execute import CommandAnswered
from tests.ads.house import House
from tests.ads.office import (
    ADVERTISER,
    CAMPAIGN,
    CREATIVE,
    PLACEMENT,
    PUBLISHER,
    SITE,
    Office,
    slug,
)

KINDS = {
    "advertiser": ADVERTISER, "publisher": PUBLISHER, "site": SITE, "placement": PLACEMENT,
    "campaign": CAMPAIGN, "creative": CREATIVE,
}  # fmt: skip


@pytest.fixture
def office():
    with House() as house:
        office = Office(house)
        office.create("advertisers")
        house.deposit("hp", 10**13)
        yield office


def line(type, **members) -> bytes:
    return json.dumps({"type": type, **KINDS[type], **members}).encode()


def creatives(count, **members) -> list[bytes]:
    return [line("creative", id=f"x{number}", **members) for number in range(count)]


def send(office, lines, *, key="k", role="admin", **headers):
    body = lines if isinstance(lines, bytes) else b"\n".join(lines)
    return together(office, [(key, body)], role=role, **headers)[0]


def together(office, calls, *, role="admin", **headers):
    """Imports of (key, body) that are sent at the same time."""
    given = {"content-type": "application/x-ndjson", **headers}
    if role:
        given["authorization"] = f"Bearer {office.tokens[role]}"

    async def run():
        transport = httpx.ASGITransport(office.app)
        async with httpx.AsyncClient(transport=transport, base_url="https://ads.example") as http:
            sent = []
            for key, body in calls:
                keyed = {**given, "idempotency-key": key} if key else given
                sent.append(http.post("/v1/import", content=body, headers=keyed))
            return await asyncio.gather(*sent)

    return office.house.loop.run_until_complete(run())


def of(answer) -> list[tuple[int, str, str]]:
    assert answer.status_code == 200, answer.text
    return [(one["line"], one["status"], one["id"]) for one in answer.json()["lines"]]


def test_every_type_is_created_in_order_and_the_same_file_again_exists(office):
    types = ("publisher", "site", "placement", "campaign", "creative")
    lines = [line(type) for type in types]
    ids = [KINDS[type]["id"] for type in types]
    first = send(office, lines)
    assert of(first) == [(number, "created", id) for number, id in enumerate(ids, 1)]
    assert {name: first.json()[name] for name in ("created", "exists", "refused")} == {
        "created": 5, "exists": 0, "refused": 0,
    }  # fmt: skip
    catalogue = office.house.catalogue
    assert "top" in catalogue.placements
    assert catalogue.creatives["blue"].html == "<b>blue</b>"
    again = send(office, lines, key="another")
    assert of(again) == [(number, "exists", id) for number, id in enumerate(ids, 1)]
    assert len(office.house.payloads(CampaignCreated)) == 1


def test_what_a_line_creates_is_what_the_single_post_creates(office):
    send(office, [line("campaign"), line("creative"), line("publisher")])
    office.create("campaigns", key="one", id="single")
    office.create("creatives", id="alone", campaign_id="single")
    catalogue = office.house.catalogue
    same = msgspec.structs.replace(catalogue.campaigns["autumn"], id="single")
    assert same == catalogue.campaigns["single"]
    alike = msgspec.structs.replace(catalogue.creatives["blue"], id="alone", campaign_id="single")
    assert alike == catalogue.creatives["alone"]
    accounts = office.house.ledger.accounts
    assert accounts["campaign/autumn"] == accounts["campaign/single"]


def test_a_refused_line_undoes_no_other_and_says_what_the_single_post_says(office):
    lines = [
        line("campaign"),
        line("creative", id="orphan", campaign_id="none"),
        b"{broken",
        line("creative", widht=3),
        line("creative"),
        line("campaign", bid_nanos=1),
        line("campaign", id="rich", budget={"currency": "EUR", "units": 10**9, "nanos": 0}),
        b'{"type": "account", "id": "a"}',
        b'{"id": "untold"}',
        b"\xff\xfe",
        b"[" * 100_000,
        line("campaign", id="last"),
    ]
    answer = send(office, lines)
    assert [status for _, status, _ in of(answer)] == [
        "created", "refused", "refused", "refused", "created", "refused", "refused", "refused",
        "refused", "refused", "refused", "created",
    ]  # fmt: skip
    told = {
        one["line"]: (one["problem"]["type"].rpartition(":")[2], one["problem"]["status"])
        for one in answer.json()["lines"]
        if one["status"] == "refused"
    }
    assert told == {
        2: ("rule-violated", 409), 3: ("malformed-json", 400), 4: ("invalid", 422),
        6: ("campaign-exists", 409), 7: ("insufficient-funds", 409), 8: ("invalid", 422),
        9: ("invalid", 422), 10: ("malformed-json", 400), 11: ("invalid", 422),
    }  # fmt: skip
    assert [one["id"] for one in answer.json()["lines"]][1:4] == ["orphan", "", "blue"]
    assert answer.json()["lines"][1]["problem"]["errors"][0]["pointer"] == "/campaign_id"
    single = office.create("creatives", id="orphan", campaign_id="none")
    assert single.json()["detail"] == answer.json()["lines"][1]["problem"]["detail"]
    assert set(office.house.catalogue.campaigns) == {"autumn", "last"}


def test_empty_lines_and_carriage_returns_are_no_lines_and_numbers_are_of_the_file(office):
    body = b"\n" + line("campaign") + b"\r\n  \n" + line("creative") + b"\n\n"
    assert of(send(office, body)) == [(2, "created", "autumn"), (4, "created", "blue")]
    nothing = send(office, b"\n\n", key="nothing")
    assert nothing.json() == {"created": 0, "exists": 0, "refused": 0, "lines": []}
    assert "idempotency-replayed" not in nothing.headers


def test_the_same_key_answers_as_before_and_has_one_effect(office):
    lines = [line("campaign"), b"{", *creatives(3 * FRAME_LINES)]
    first = send(office, lines)
    events = len(office.house.events())
    again = send(office, lines)
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert len(office.house.events()) == events
    assert len(office.house.payloads(CreativeCreated)) == 3 * FRAME_LINES


def test_a_key_is_for_one_body_also_where_it_begins_the_same(office):
    lines = [line("campaign"), *creatives(2 * FRAME_LINES)]
    assert send(office, lines).status_code == 200
    for other in (lines[:-1], [*lines, line("creative", id="more")], [line("campaign")]):
        refused = send(office, other)
        assert (refused.status_code, slug(refused)) == (422, "idempotency-mismatch")
    assert "more" not in office.house.catalogue.creatives


def test_an_import_that_broke_off_goes_on_under_its_key(office):
    lines = [line("campaign"), *creatives(5 * FRAME_LINES)]
    log, room = office.house.log, 3
    admit = log.admit

    def admit_a_few() -> None:
        nonlocal room
        room -= 1
        if room < 0:
            raise StorageFull("no room")
        admit()

    log.admit = admit_a_few
    broken = send(office, lines)
    assert (broken.status_code, slug(broken)) == (503, "storage-full")
    log.admit = admit
    done = len(office.house.payloads(CreativeCreated))
    assert 0 < done < 5 * FRAME_LINES
    again = send(office, lines)
    assert [status for _, status, _ in of(again)] == ["created"] * len(lines)
    assert "idempotency-replayed" not in again.headers
    created = [event.creative.id for event in office.house.payloads(CreativeCreated)]
    assert created == [f"x{number}" for number in range(5 * FRAME_LINES)]


def test_a_key_whose_import_was_cut_otherwise_is_not_taken_for_the_same(office, monkeypatch):
    """By another version: frame 1 of then is not frame 1 of now."""
    lines = [line("campaign"), *creatives(FRAME_LINES)]
    assert send(office, lines).status_code == 200
    monkeypatch.setattr(importing, "FRAME_LINES", FRAME_LINES - 1)
    refused = send(office, lines)
    assert (refused.status_code, slug(refused)) == (422, "idempotency-mismatch")


def test_a_frame_is_decided_while_the_one_before_is_stored(office):
    """A disk that takes a few turns of the loop stores what was decided meanwhile at once."""
    log, loop = office.house.log, office.house.loop
    store = log._store

    def store_after(turns: int) -> None:
        if turns:
            loop.call_soon(store_after, turns - 1)
        else:
            store()

    log._store = lambda: store_after(5)
    before = {row.first_seq for row in log.rows()}
    lines = [line("campaign"), *creatives(6 * FRAME_LINES - 1)]
    answer = send(office, lines)
    assert [status for _, status, _ in of(answer)] == ["created"] * len(lines)
    rows = [row for row in log.rows() if row.first_seq not in before]
    assert len(rows) < 6
    created = [event.creative.id for event in office.house.payloads(CreativeCreated)]
    assert created == [f"x{number}" for number in range(6 * FRAME_LINES - 1)]


def test_frames_are_bounded_in_lines_in_bytes_and_in_contacts(office):
    def frames_of(lines, key) -> int:
        before = {row.first_seq for row in office.house.log.rows()}
        assert send(office, lines, key=key).json()["refused"] == 0
        return len({row.first_seq for row in office.house.log.rows()} - before)

    assert frames_of([line("campaign"), *creatives(2 * FRAME_LINES - 1)], "lines") == 2
    html = "x" * (FRAME_BYTES // 2)
    heavy = [line("creative", id=f"h{number}", html=html) for number in range(3)]
    assert frames_of(heavy, "bytes") == 3
    contacts = [line("advertiser", id=f"a{number}") for number in range(3)]
    assert frames_of(contacts, "contacts") == 3


def test_a_live_ad_can_win_when_its_import_is_answered(office):
    house = office.house
    campaign = line("campaign", pricing="cpm", bid_nanos=2_000_000)
    send(office, [line("publisher"), campaign, line("creative")])
    _, served = house.serve()
    assert [one.creative.id for one in served] == ["blue"]


def test_two_imports_take_turns_and_one_key_runs_once(office):
    """Three at once: two keys, and one of them twice."""
    frames = 16  # so many that b begins before a ends, however busy the machine is
    send(office, [line("campaign")], key="first")
    bodies = {
        key: b"\n".join(line("creative", id=f"{key}{n}") for n in range(frames * FRAME_LINES))
        for key in ("a", "b")
    }
    answers = together(office, [("a", bodies["a"]), ("a", bodies["a"]), ("b", bodies["b"])])
    assert [answer.status_code for answer in answers] == [200, 409, 200]
    assert slug(answers[1]) == "idempotency-in-flight"
    created = [event.creative.id[0] for event in office.house.payloads(CreativeCreated)]
    assert created.count("a") == created.count("b") == frames * FRAME_LINES
    assert "ba" in "".join(created)  # b did not wait for the end of a


def test_more_imports_than_may_run_are_told_to_come_back(office):
    send(office, [line("campaign")], key="first")
    body = b"\n".join(creatives(FRAME_LINES + 1))
    answers = together(office, [(f"k{n}", body) for n in range(IMPORTS_AT_ONCE + 2)])
    codes = [answer.status_code for answer in answers]
    assert (codes.count(200), codes.count(503)) == (IMPORTS_AT_ONCE, 2)
    refused = answers[codes.index(503)]
    assert slug(refused) == "overloaded"
    assert refused.headers["retry-after"] == "1"


def test_what_is_too_much_is_refused_whole_with_its_bound(office):
    events = len(office.house.events())
    many = b"\n".join([b"{}"] * (IMPORT_LINES_MAX + 1))
    refused = send(office, many)
    assert (refused.status_code, slug(refused)) == (422, "invalid")
    assert "at most 5000 lines a request, got 5001" in refused.json()["detail"]
    large = send(office, b" " * (IMPORT_MAX_BYTES + 1))
    assert (large.status_code, slug(large)) == (413, "too-large")
    assert str(IMPORT_MAX_BYTES) in large.json()["detail"]
    assert len(office.house.events()) == events
    most = b"\n".join([b"{}"] * IMPORT_LINES_MAX) + b"\n"
    assert send(office, most, key="most").json()["refused"] == IMPORT_LINES_MAX
    assert len(office.house.payloads(CommandAnswered)) == -(-IMPORT_LINES_MAX // FRAME_LINES)


def test_it_takes_lines_a_key_and_the_scope_to_write(office):
    for headers in ({"content-type": "application/json"}, {"content-encoding": "gzip"}):
        refused = send(office, [line("campaign")], **headers)
        assert slug(refused) == "unsupported-media-type"
    assert slug(send(office, [line("campaign")], key=None)) == "idempotency-key-required"
    assert send(office, [line("campaign")], role="viewer").status_code == 403
    assert send(office, [line("campaign")], role=None).status_code == 401
    assert not office.house.catalogue.campaigns


IDS = st.sampled_from(["c1", "c2", "x1", "x2"])
ANY_LINE = st.one_of(
    st.builds(
        lambda id, name: line("campaign", id=id, name=name), IDS, st.sampled_from(["A", "B"])
    ),
    st.builds(lambda id, campaign_id: line("creative", id=id, campaign_id=campaign_id), IDS, IDS),
    st.sampled_from([b"{", b"[]", b'{"type":"campaign"}', b"null", b""]),
)


@given(st.lists(ANY_LINE, max_size=2 * FRAME_LINES))
@settings(max_examples=10, deadline=None)
def test_an_import_is_its_lines_one_by_one(lines):
    """The oracle: the single POSTs, in order."""

    def opened(house) -> Office:
        office = Office(house)
        office.create("advertisers")
        house.deposit("hp", 10**13)
        return office

    with House() as whole, House() as apart:
        imported = opened(whole)
        result = {number: status for number, status, _ in of(send(imported, lines))}
        single = opened(apart)
        for number, text in enumerate(lines, 1):
            if not text:
                assert number not in result
                continue
            expected = _post_one(single, text, number)
            assert result[number] == expected, text
        assert whole.catalogue.campaigns == apart.catalogue.campaigns
        assert whole.catalogue.creatives == apart.catalogue.creatives
        assert {fold.name: fold.dump() for fold in whole.replayed().all} == (whole.folds.dumps())


def _post_one(office, text, number) -> str:
    try:
        members = json.loads(text)
        noun = members.pop("type") + "s"
    except (ValueError, TypeError, AttributeError):
        return "refused"
    answer = office.send("POST", f"/v1/{noun}", json=members, key=f"line-{number}")
    return {201: "created", 200: "exists"}.get(answer.status_code, "refused")
