"""The demo's newspaper: four readers, ids of their own, and pages that fit the platform's tags."""

from __future__ import annotations

import httpx
import pytest

from ringwork.kernel.viewer import SECRET_PERSON
from ringwork.world.paper import PLACEMENT, PUBLISHER, READERS, page, paper, person_of, setup

SERVER = "http://127.0.0.1:8080"


def test_each_reader_has_an_id_that_the_choice_page_takes_and_keeps_it():
    ids = {person_of(reader, 7) for reader in READERS}
    assert len(ids) == len(READERS)
    assert all(SECRET_PERSON.fullmatch(one) for one in ids)
    assert person_of("refusing", 7) == person_of("refusing", 7)
    assert person_of("refusing", 7) != person_of("refusing", 8)


@pytest.mark.parametrize("reader", READERS)
def test_a_page_names_its_reader_unless_nobody_knows_them(reader):
    html = page(f"/?as={reader}", server=SERVER, seed=7)
    assert (f'data-ringwork-person="{person_of(reader, 7)}"' in html) == (reader != "newcomer")
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
    assert [one.body["id"] for one in first] == [PUBLISHER, PLACEMENT]
