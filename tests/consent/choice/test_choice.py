"""The choice page over HTTP: what is asked, what each button records, and what is refused."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.app.verify import check_all
from ringwork.consent.choice.texts import OPTIONS
from ringwork.consent.requests import NewConsent
from tests.app.served import EPOCH_US
from tests.consent.choice.shop import (
    ORIGIN,
    PERSON,
    YEAR_US,
    Desk,
    at_desk,
    options_of,
    ticket_of,
)

SUBSCRIBE = {"subscribe_to": f"{ORIGIN}/pay?from=page", "region": "DE"}
BACK = {"return_to": f"{ORIGIN}/article?page=2#top"}


def test_three_options_are_asked_with_the_price_and_none_is_preselected(tmp_path: Path):
    async def scenario(desk: Desk) -> None:
        page = await desk.open(**SUBSCRIBE)
        assert sorted(options_of(page)) == sorted(OPTIONS)
        assert "€5.99 a month, tax included. You see no ads" in page.text
        assert all(word not in page.text for word in ("checked", "selected", "autofocus"))
        assert "set-cookie" not in page.headers
        assert page.headers["cache-control"] == "no-store"

        (shown,) = await desk.events("choice_shown")
        (notice,) = await desk.events("consent_notice_published")
        assert list(shown["payload"]["order"]) == options_of(page)
        assert shown["payload"]["price_nanos"] == 5_990_000_000
        text = notice["payload"]["text"]
        assert notice["payload"]["notice"] == sha256(text.encode()).hexdigest()
        assert shown["payload"]["notice"] == notice["payload"]["notice"]
        assert "€5.99 a month" in text

    at_desk(tmp_path, scenario)


def test_without_a_plan_in_force_or_a_place_to_pay_two_are_left(tmp_path: Path):
    async def scenario(desk: Desk) -> None:
        for members in ({}, {**SUBSCRIBE, "region": "FR"}, {"region": "DE"}):
            page = await desk.open(**members)
            assert sorted(options_of(page)) == ["less", "personalised"]
            assert "Casa lives on ads. Choose" in page.text

    at_desk(tmp_path, scenario)


def test_refusing_and_allowing_take_the_same_one_step_and_end_at_the_same_place(tmp_path: Path):
    async def scenario(desk: Desk) -> None:
        records = {}
        for person, choice in ((PERSON, "less"), ("r." + "b" * 22, "personalised")):
            done = await desk.press(await desk.open(person=person, **BACK), choice)
            assert done.status_code == 303
            assert done.headers["location"] == (
                f"{ORIGIN}/article?page=2&ringwork_choice={choice}#top"
            )
            records[choice] = (await desk.events("consent_recorded"))[-1]["payload"]
        refused, granted = records["less"], records["personalised"]
        assert (refused["action"], granted["action"]) == ("refuse", "grant")
        for same in ("purposes", "steps", "surface", "asked", "notice", "notice_version"):
            assert refused[same] == granted[same], same
        assert refused["steps"] == 1
        assert refused["purposes"] == ["advertise", "measure"]
        made = [one["payload"] for one in await desk.events("choice_made")]
        assert [one["choice"] for one in made] == ["less", "personalised"]
        assert all(one["order"][one["place"] - 1] == one["choice"] for one in made)

    at_desk(tmp_path, scenario)


def test_who_refused_is_asked_again_after_a_year_and_not_a_second_before(tmp_path: Path):
    async def scenario(desk: Desk) -> None:
        await desk.press(await desk.open(), "less")
        refused_us = desk.clock.wall_us()
        stands = await desk.stands()
        assert stands == {
            "choice": "less", "ask": False, "until_ms": (refused_us + YEAR_US) // 1000,
        }  # fmt: skip
        desk.clock.advance_us(YEAR_US - 1_000_000)
        page = await desk.open()
        assert options_of(page) == []
        assert "not asked again before 2026-11-26" in page.text
        assert not (await desk.stands())["ask"]
        desk.clock.advance_us(1_000_000)
        assert (await desk.stands())["ask"]
        assert len(options_of(await desk.open())) == 2

    at_desk(tmp_path, scenario)


def test_one_changes_ones_mind_at_any_time_and_withdraws_in_one_step(tmp_path: Path):
    async def scenario(desk: Desk) -> None:
        await desk.press(await desk.open(), "less")
        frame = {"origin": ORIGIN}
        saved = await desk.press(await desk.open("mine-embed", **frame), "personalised")
        assert (await desk.stands())["choice"] == "personalised"
        own = await desk.http.get(saved.headers["location"])
        assert "Saved. It holds from now on." in own.text
        assert "personalised ads, measuring ads: allowed" in own.text
        await desk.press(own, "less")
        assert (await desk.stands())["choice"] == "less"
        recorded = [one["payload"] for one in await desk.events("consent_recorded")]
        assert [(one["action"], one["asked"], one["steps"]) for one in recorded] == [
            ("refuse", True, 1), ("grant", False, 1), ("withdraw", False, 1),
        ]  # fmt: skip

    at_desk(tmp_path, scenario)


def test_one_purpose_is_withdrawn_alone(tmp_path: Path):
    async def scenario(desk: Desk) -> None:
        await desk.press(await desk.open(), "personalised")
        await desk.press(await desk.open("mine"), "withdraw-measure")
        last = (await desk.events("consent_recorded"))[-1]["payload"]
        assert (last["action"], last["purposes"]) == ("withdraw", ["measure"])
        assert (await desk.stands())["choice"] == "personalised"
        own = await desk.open("mine")
        assert "withdraw-advertise" in own.text
        assert "withdraw-measure" not in own.text

    at_desk(tmp_path, scenario)


def test_a_double_click_is_recorded_once(tmp_path: Path):
    async def scenario(desk: Desk) -> None:
        for choice, count in (("personalised", 1), ("less", 2)):
            page = await desk.open("mine")
            for _ in range(2):
                assert (await desk.press(page, choice)).status_code == 303
            assert len(await desk.events("consent_recorded")) == count
            assert len(await desk.events("choice_made")) == count

    at_desk(tmp_path, scenario)


def test_to_subscribe_leads_to_the_publishers_page_and_decides_nothing_else(tmp_path: Path):
    async def scenario(desk: Desk) -> None:
        done = await desk.press(await desk.open(**SUBSCRIBE, **BACK), "subscribe")
        assert done.headers["location"] == f"{ORIGIN}/pay?from=page&ringwork_choice=subscribe"
        assert await desk.events("consent_recorded") == []
        assert (await desk.stands())["choice"] == "undecided"
        desk.pay()
        assert (await desk.stands()) == {"choice": "subscribe", "ask": False, "until_ms": 0}
        page = await desk.open(**SUBSCRIBE)
        assert options_of(page) == []
        assert "You subscribe: you see no ads." in page.text

    at_desk(tmp_path, scenario)


def test_a_person_sees_the_options_in_one_order_after_a_restart_too(tmp_path: Path):
    people = [f"r.{number:022d}" for number in range(60)]
    orders: dict[str, list[str]] = {}

    async def first(desk: Desk) -> None:
        for person in people:
            orders[person] = options_of(await desk.open(person=person, **SUBSCRIBE))
            assert options_of(await desk.open(person=person, **SUBSCRIBE)) == orders[person]
        assert len(await desk.events("choice_shown")) == len(people)

    async def second(desk: Desk) -> None:
        for person in people:
            assert options_of(await desk.open(person=person, **SUBSCRIBE)) == orders[person]

    at_desk(tmp_path, first)
    at_desk(tmp_path, second, seed=6)
    assert len({tuple(order) for order in orders.values()}) == 6
    assert [
        one.detail for one in check_all(tmp_path / "data", lambda *_: None) if one.violations
    ] == []


def test_who_is_a_minor_is_not_offered_personalised_ads(tmp_path: Path):
    async def scenario(desk: Desk) -> None:
        platform = desk.platform
        with platform.journal.command(tenant="main", request_id=platform.ids.new()) as command:
            known = NewConsent(person=PERSON, action="declare", minor=True)
            platform.consent.consents.record(command, known, "test")
            command.commit()
        assert options_of(await desk.open()) == []
        own = await desk.open("mine")
        assert options_of(own) == ["less"]
        assert "they are not shown to minors" in own.text
        assert (await desk.press(own, "personalised")).status_code == 422

    at_desk(tmp_path, scenario)


# ---- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "status", "says"),
    [
        ({"publisher": "nobody"}, 404, "no publisher"),
        ({"person": "alice"}, 422, "expected r. and at least 22 random characters"),
        ({"person": ""}, 422, "/person"),
        ({"return_to": "https://evil.example/"}, 422, "return_to: expected an address on"),
        ({"return_to": "https://casa.example@evil.example/"}, 422, "return_to"),
        ({"return_to": "//evil.example/"}, 422, "return_to"),
        ({"return_to": "https://casa.example.evil.example/"}, 422, "return_to"),
        ({"return_to": "javascript:alert(1)"}, 422, "return_to"),
        ({"return_to": "https://casa.example\\@evil.example/"}, 422, "return_to"),
        ({"subscribe_to": "http://casa.example/"}, 422, "subscribe_to"),
        ({"ink": "777777", "paper": "ffffff"}, 422, "contrast of 4.5 to paper, it is 4.48"),
        ({"ink": "000000"}, 422, "expected together with paper"),
        ({"ink": "red", "paper": "ffffff"}, 422, "/ink"),
        ({"region": "Germany"}, 422, "/region"),
        ({"link": "AAAA"}, 403, "the link was not made here"),
    ],
)
def test_a_visit_that_cannot_be_is_refused_with_its_reason(tmp_path, members, status, says):
    async def scenario(desk: Desk) -> None:
        asked = {"publisher": "casa", "person": PERSON, **members}
        page = await desk.http.get("/choice", params=asked)
        assert (page.status_code, page.headers["content-type"]) == (
            status, "text/html; charset=utf-8",
        )  # fmt: skip
        assert says in page.text
        problem = await desk.http.get("/choice", params=asked, headers={"accept": "*/*"})
        assert problem.headers["content-type"] == "application/problem+json"
        assert await desk.events("choice_shown") == []

    at_desk(tmp_path, scenario)


def test_a_form_from_elsewhere_or_of_another_hour_decides_nothing(tmp_path: Path):
    async def scenario(desk: Desk) -> None:
        page = await desk.open()
        for headers in ({"origin": "https://evil.example"}, {"origin": "null"},
                        {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}):  # fmt: skip
            assert (await desk.press(page, "personalised", **headers)).status_code == 403
        own = {"origin": "http://localhost:8000", "sec-fetch-site": "same-origin"}
        ticket = ticket_of(page)
        forged = ticket[:-4] + ("AAAA" if ticket[-4:] != "AAAA" else "BBBB")
        for data in ({"ticket": forged, "choice": "personalised"}, {"choice": "personalised"}):
            assert (await desk.http.post("/choice", data=data, headers=own)).status_code == 403
        as_json = await desk.http.post("/choice", json={"ticket": ticket, "choice": "less"})
        assert as_json.status_code == 415
        assert (await desk.press(page, "everything", **own)).status_code == 422
        assert (await desk.press(page, "subscribe", **own)).status_code == 422  # not offered
        desk.clock.advance_us(3_600_000_000)
        late = await desk.press(page, "personalised", **own)
        assert late.status_code == 409
        assert "/choice/mine?link=" in late.text
        assert await desk.events("consent_recorded") == []
        assert await desk.events("choice_made") == []

    at_desk(tmp_path, scenario)


def test_a_grant_from_an_old_question_is_refused_after_a_refusal(tmp_path: Path):
    async def scenario(desk: Desk) -> None:
        page = await desk.open()
        await desk.press(page, "less")
        back_button = await desk.press(page, "personalised")
        assert back_button.status_code == 409
        assert "/choice/mine?link=" in back_button.text  # where it can be changed
        assert (await desk.stands())["choice"] == "less"
        assert len(await desk.events("consent_recorded")) == 1

    at_desk(tmp_path, scenario)


def test_frames_are_for_the_publishers_pages_alone(tmp_path: Path):
    async def scenario(desk: Desk) -> None:
        alone = await desk.open()
        assert "frame-ancestors 'none'" in alone.headers["content-security-policy"]
        framed = await desk.open("embed", origin=ORIGIN)
        policy = framed.headers["content-security-policy"]
        assert f"frame-ancestors {ORIGIN};" in policy
        assert f"form-action 'self' {ORIGIN};" in policy
        assert (await desk.open("embed")).status_code == 422
        assert (await desk.open("embed", origin="https://evil.example")).status_code == 422

    at_desk(tmp_path, scenario)


def test_only_the_publishers_pages_read_where_a_person_stands(tmp_path: Path):
    async def scenario(desk: Desk) -> None:
        asked = {"publisher": "casa", "person": PERSON}
        home = await desk.http.get("/choice/state", params=asked, headers={"origin": ORIGIN})
        assert home.headers["access-control-allow-origin"] == ORIGIN
        away = await desk.http.get(
            "/choice/state", params=asked, headers={"origin": "https://evil.example"}
        )
        assert away.status_code == 403
        assert "access-control-allow-origin" not in away.headers

    at_desk(tmp_path, scenario)


def test_a_link_brings_back_its_person_for_a_day(tmp_path: Path):
    async def scenario(desk: Desk) -> None:
        refused = await desk.press(await desk.open(), "less")
        again = refused.headers["location"]
        link = parse_qs(urlsplit(again).query)["link"][0]
        assert (await desk.http.get("/choice/mine", params={"link": link})).status_code == 200
        desk.clock.advance_us(86_400_000_000)
        old = await desk.http.get("/choice/mine", params={"link": link})
        assert old.status_code == 403
        assert "too old" in old.text

    at_desk(tmp_path, scenario)


def test_a_publishers_server_makes_links_for_people_by_its_own_ids(tmp_path: Path):
    async def scenario(desk: Desk) -> None:
        key = await desk.client.key("choice")
        asked = {"publisher": "casa", "person": "customer-17", **SUBSCRIBE}
        made = await desk.client.outside.post("/v1/choice/links", json=asked, headers=key)
        assert made.status_code == 201, made.text
        link = made.json()
        assert link["choice"] == f"http://127.0.0.1:8080/choice?link={link['link']}"
        page = await desk.http.get("/choice", params={"link": link["link"], "locale": "de"})
        assert "5,99\u00a0€ im Monat" in page.text
        await desk.press(page, "personalised")
        state = await desk.http.get("/choice/state", params={"link": link["link"]})
        assert state.json()["choice"] == "personalised"
        recorded = (await desk.events("consent_recorded"))[-1]
        assert recorded["subject"] == desk.platform.consent.consents.subject_of("customer-17").hex()

        keyless = await desk.client.outside.post("/v1/choice/links", json=asked)
        assert keyless.status_code == 401
        reader = await desk.client.key("viewer")
        no_right = await desk.client.outside.post("/v1/choice/links", json=asked, headers=reader)
        assert no_right.status_code == 403
        away = {**asked, "return_to": "https://evil.example/"}
        refused = await desk.client.outside.post("/v1/choice/links", json=away, headers=key)
        assert refused.status_code == 422

    at_desk(tmp_path, scenario)


def test_the_text_of_a_consent_is_found_by_its_hash(tmp_path: Path):
    async def scenario(desk: Desk) -> None:
        await desk.press(await desk.open(**SUBSCRIBE), "personalised")
        notice = (await desk.events("consent_recorded"))[-1]["payload"]["notice"]
        key = await desk.client.key("auditor")
        found = await desk.client.outside.get(f"/v1/consent-notices/{notice}", headers=key)
        assert sha256(found.json()["text"].encode()).hexdigest() == notice
        none = await desk.client.outside.get(f"/v1/consent-notices/{'0' * 64}", headers=key)
        assert none.status_code == 404

    at_desk(tmp_path, scenario)


@given(query=st.binary(max_size=200), form=st.binary(max_size=200))
def test_no_bytes_are_a_bug(tmp_path_factory, query: bytes, form: bytes):
    async def scenario(desk: Desk) -> None:
        for text in (query, form):
            quoted = "".join(f"%{byte:02x}" if byte % 3 else chr(byte % 94 + 33) for byte in text)
            answer = await desk.http.get(f"/choice/mine?{quoted.replace('#', '')}")
            assert answer.status_code in (403, 404, 422)
        headers = {"content-type": "application/x-www-form-urlencoded"}
        answer = await desk.http.post("/choice", content=form, headers=headers)
        assert answer.status_code in (403, 422)

    at_desk(tmp_path_factory.mktemp("bytes"), scenario)


def test_times_are_those_of_the_world(tmp_path: Path):
    async def scenario(desk: Desk) -> None:
        await desk.press(await desk.open(), "personalised")
        assert desk.clock.wall_us() == EPOCH_US
        assert (await desk.stands())["until_ms"] == EPOCH_US // 1000 + 395 * 86_400_000

    at_desk(tmp_path, scenario)
