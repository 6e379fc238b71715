"""The demo's newspaper: four readers, ids of their own, and pages that fit the platform's tags."""

from __future__ import annotations

import httpx
import pytest

from ringwork.kernel.viewer import SECRET_PERSON
from ringwork.world.paper import (
    CATEGORY,
    KNOWN,
    NEWCOMER,
    PAGE_CPM,
    PLACEMENT,
    PUBLISHER,
    READERS,
    TIERS,
    known_readers,
    page,
    paper,
    setup,
)
from ringwork.world.readers import AT_LEAST, CLUB_CPM, CLUBS, DAYS_TOLD, deeds, person_id

SERVER = "http://127.0.0.1:8080"


def test_each_reader_has_an_id_that_the_choice_page_takes_and_keeps_it():
    known = known_readers(7)
    assert [one.decision for one in known] == list(KNOWN)
    ids = {one.person for one in known}
    assert len(ids) == len(KNOWN)
    assert all(SECRET_PERSON.fullmatch(one) for one in ids)
    assert known == known_readers(7)
    assert not ids & {one.person for one in known_readers(8)}


def test_the_one_who_consents_has_done_enough_for_the_audience_of_another_ad():
    days = range(20_000, 20_000 + DAYS_TOLD)
    done = [
        one for call in deeds(known_readers(7), seed=7, days=days) for one in call.body["events"]
    ]
    _, _, topic, _ = CLUBS[0]
    assert {(one["person"], one["topic"]) for one in done} == {(person_id(7, "consenting"), topic)}
    assert len(done) >= AT_LEAST
    assert topic != CATEGORY
    assert CLUB_CPM > PAGE_CPM  # by the second price neither pays what it bids


def test_the_page_has_the_demos_words_for_each_tier_and_no_script_of_its_own():
    html = page("/", server=SERVER, seed=7)
    for tier in TIERS:
        assert f'<p class="{tier}">' in html
        assert f'[data-ringwork-tier="{tier}"] + aside .{tier}' in html
    assert html.count("<script") == 2


@pytest.mark.parametrize("reader", READERS)
def test_a_page_names_its_reader_unless_nobody_knows_them(reader):
    html = page(f"/?as={reader}", server=SERVER, seed=7)
    assert (f'data-ringwork-person="{person_id(7, reader)}"' in html) == (reader != NEWCOMER)
    assert f'?as={reader}" aria-current="page"' in html
    assert html.index("ringwork-consent.js") < html.index("ringwork.js")
    assert f'data-ringwork-placement="{PLACEMENT}"' in html


def test_any_other_query_is_a_newcomers_and_nothing_of_it_is_on_the_page():
    html = page("/?as=<script>", server=SERVER, seed=7)
    assert "<script>" not in html.replace("<script>alert", "")
    assert page("/nothing", server=SERVER, seed=7) is None


def test_it_is_served_with_an_origin_of_its_own():
    with paper(server=SERVER, seed=7) as origin:
        answer = httpx.get(f"{origin}/?as=consenting")
        assert (answer.status_code, httpx.get(f"{origin}/x").status_code) == (200, 404)
        assert f"script-src {SERVER}" in answer.headers["content-security-policy"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(origin)


def test_the_platform_knows_the_paper_by_calls_that_may_be_sent_again():
    first, second = list(setup()), list(setup())
    assert first == second
    publisher, placement, campaign, *creatives = (one.body for one in first)
    assert (publisher["id"], placement["id"]) == (PUBLISHER, PLACEMENT)
    assert campaign["targeting"]["sites"] == [publisher["domain"]]
    assert {one["campaign_id"] for one in creatives} == {campaign["id"]}
    assert len({one.key for one in first}) == len(first)
