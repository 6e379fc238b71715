"""Categories that belong to others: what blocks, allows and targets a category means its parts."""

import pytest

from ringwork.ads.model import Excluded, Targeting
from tests.ads.house import BANNER, SITE, House, changed
from tests.ads.openrtb.wire import bid, creative, request, served


@pytest.fixture
def house():
    with House() as house:
        house.open()
        house.campaign("c1")
        yield house


def shows(house: House, slot=BANNER, **context) -> bool:
    return bool(house.serve(slot, context=changed(SITE, **context))[1])


@pytest.mark.parametrize(
    ("labels", "blocked", "is_shown"),
    [
        (["IAB25-3"], ["IAB25"], False),  # a part of what is blocked
        (["IAB25-3"], ["IAB25-3"], False),
        (["IAB25"], ["IAB25-3"], True),  # of the whole only a part is blocked
        (["IAB25-3"], ["IAB2"], True),  # a number, not a beginning
        (["IAB1", "IAB25-3"], ["IAB25"], False),
        (["483"], ["48"], True),  # later taxonomies do not say in the id what it belongs to
        (["IAB25-3-1"], ["IAB25"], True),  # no id of the taxonomy
        ([], ["IAB25"], True),
    ],
)
def test_a_blocked_category_blocks_what_belongs_to_it(house, labels, blocked, is_shown):
    house.creative("a1", "c1", categories=labels)
    assert shows(house, blocked_categories=tuple(blocked)) == is_shown


@pytest.mark.parametrize(
    ("labels", "allowed", "is_shown"),
    [
        (["IAB1-2"], ["IAB1"], True),
        (["IAB1"], ["IAB1-2"], False),
        (["IAB1-2", "IAB25-3"], ["IAB1"], False),
        ([], ["IAB1"], False),
    ],
)
def test_an_allowed_category_allows_what_belongs_to_it(house, labels, allowed, is_shown):
    house.creative("a1", "c1", categories=labels)
    assert shows(house, changed(BANNER, allowed_categories=tuple(allowed))) == is_shown


def test_a_targeted_category_takes_pages_of_its_parts():
    with House() as house:
        house.open()
        house.campaign("c1", targeting=Targeting(categories=["IAB1"]))
        house.creative("a1", "c1")
        house.campaign("c2", targeting=Targeting(excluded=Excluded(categories=["IAB25"])))
        house.creative("a2", "c2")
        assert [one.campaign_id for one in house.serve(BANNER, context=SITE)[1]] == ["c2"]
        assert shows(house, categories=("IAB25-1",)) is False
        assert shows(house, categories=("IAB25-1", "IAB1-7")) is True


@pytest.mark.parametrize(
    ("labels", "cattax", "cat"),
    [
        (["IAB25-3"], None, ["IAB25-3"]),  # 1, the default, is not written
        (["483"], 9, ["483"]),
        (["IAB25-3", "483"], 9, ["483"]),
        ([], None, None),
    ],
)
def test_a_bid_names_its_categories_in_one_taxonomy(labels, cattax, cat):
    one = bid(request(), served(creative(categories=labels)))
    assert (one.get("cattax"), one.get("cat")) == (cattax, cat)
