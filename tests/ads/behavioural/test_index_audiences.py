"""Audiences as one more exact dimension of the search."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.ads.index import SHORTLIST_MAX, Index
from ringwork.ads.model import Excluded, Targeting
from ringwork.ads.page import Page
from ringwork.ads.priorities import Turns
from tests.ads.test_index import CONTEXT, NOW_US, P_PPB, RICH, SLOT, Purses, campaign, catalogue_of
from tests.ads.test_index import creative as banner

AUDIENCES = ["interest:a", "interest:b", "buyers", "lost"]


def page_of(*audiences: str) -> Page:
    page = Page(Turns(b"auction", lambda id: 0))
    page.audiences = audiences
    return page


def ad(id: str, bid_nanos: int, targeting: Targeting):
    one = campaign(id=id, bid_nanos=bid_nanos, targeting=targeting)
    return one, banner(id=id, campaign_id=id)


def test_who_may_see_what_by_hand():
    ads = [
        ad("all", 100, Targeting()),
        ad("buyers", 300, Targeting(audiences=["buyers"])),
        ad("new", 200, Targeting(excluded=Excluded(audiences=["buyers"]))),
    ]
    index = Index(catalogue_of(ads), Purses(lambda one: RICH), p_ppb=P_PPB)

    def shown(*audiences: str) -> tuple[list[str], dict[str, int]]:
        found = index.shortlist(CONTEXT, SLOT, now_us=NOW_US, page=page_of(*audiences))
        return list(found.contenders), found.excluded

    assert shown("buyers", "interest:a") == (["buyers", "all"], {"excluded": 1})
    assert shown("interest:a") == (["new", "all"], {"audience": 1})
    assert shown() == (["new", "all"], {"audience": 1})
    without = index.shortlist(CONTEXT, SLOT, now_us=NOW_US)
    assert (list(without.contenders), without.excluded) == (["new", "all"], {"audience": 1})


@settings(max_examples=150)
@given(st.integers(0, 2**32 - 1))
def test_the_search_is_what_brute_force_finds(seed):
    random = Random(seed)

    def some(chance: float) -> list[str]:
        return [one for one in AUDIENCES if random.random() < chance]

    ads = []
    for number in range(random.choice([3, 40, 200])):
        wanted = some(random.choice([0, 0.3]))
        unwanted = [one for one in some(random.choice([0, 0.2])) if one not in wanted]
        targeting = Targeting(
            audiences=wanted,
            excluded=Excluded(audiences=unwanted),
            sites=random.choice([[], [], ["elsewhere.example"]]),
        )
        ads.append(ad(f"n{number:03}", random.randint(1, 60), targeting))
    index = Index(catalogue_of(ads[::-1]), Purses(lambda one: RICH), p_ppb=P_PPB)
    for person in ([], some(0.3), some(0.6), AUDIENCES):
        running, excluded = [], {}
        for one, _ in ads:
            target = one.targeting
            if target.sites:
                reason = "site"
            elif target.audiences and not set(target.audiences) & set(person):
                reason = "audience"
            elif set(target.excluded.audiences) & set(person):
                reason = "excluded"
            else:
                running.append((-one.bid_nanos, one.id))
                continue
            excluded[reason] = excluded.get(reason, 0) + 1
        found = index.shortlist(CONTEXT, SLOT, now_us=NOW_US, page=page_of(*person))
        assert list(found.contenders) == [id for _, id in sorted(running)[:SHORTLIST_MAX]]
        if found.scanned == len(ads):
            assert (found.excluded, found.eligible) == (excluded, len(running))
        if not person:
            contextual = index.shortlist(CONTEXT, SLOT, now_us=NOW_US)
            assert list(contextual.contenders) == list(found.contenders)
            assert all(
                not one.campaign.targeting.audiences for one in contextual.contenders.values()
            )
