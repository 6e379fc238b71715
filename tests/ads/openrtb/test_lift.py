"""Members of OpenRTB 2.5 in the places that 2.6 has for them."""

import json

import pytest

from ringwork.ads.openrtb import decode
from tests.ads.openrtb.wire import BANNER, request

OLD = {
    "regs": {"ext": {"gdpr": 1, "us_privacy": "1YNN"}},
    "user": {"ext": {"consent": "CO"}},
    "source": {"ext": {"schain": {"ver": "1.0"}}},
    "imp": {"banner": BANNER, "ext": {"prebid": {"is_rewarded_inventory": 1}}},
}
NEW = {
    "regs": {"gdpr": 0, "us_privacy": "1NNN"},
    "user": {"consent": "CP"},
    "source": {"schain": {"ver": "2.0"}},
    "imp": {"banner": BANNER, "rwdd": 0},
}


def lifted(body: dict) -> tuple[list[object], list[str]]:
    warnings: list[str] = []
    found = decode(json.dumps(body).encode(), warnings)
    return [
        found.regs.gdpr, found.regs.us_privacy, found.user.consent,
        found.source.schain.ver, found.imp[0].rwdd,
    ], warnings  # fmt: skip


def test_old_places_are_read():
    assert lifted(request(**OLD)) == ([1, "1YNN", "CO", "1.0", 1], [])


def test_the_new_place_wins_with_a_warning():
    both = {name: {**OLD[name], **NEW[name]} for name in OLD}
    values, warnings = lifted(request(**both))
    assert values == [0, "1NNN", "CP", "2.0", 0]
    assert [line.partition(" ")[0] for line in warnings] == [
        "regs.gdpr", "regs.us_privacy", "user.consent", "source.schain", "imp.rwdd",
    ]  # fmt: skip


def test_the_same_value_twice_is_no_contradiction():
    same = {"regs": {"gdpr": 1, "us_privacy": "1YNN", "ext": OLD["regs"]["ext"]}}
    assert lifted(request(**(OLD | same)))[1] == []


@pytest.mark.parametrize("ext", [{}, {"prebid": {}}, {"rwdd": None}])
def test_nothing_to_lift(ext):
    body = request({"banner": BANNER, "ext": ext}, regs={"ext": {}}, user={"ext": {}}, source={})
    found = decode(json.dumps(body).encode())
    assert (found.regs.gdpr, found.user.consent, found.imp[0].rwdd) == (None, None, None)


def test_rwdd_in_ext_is_read_before_the_prebid_form():
    ext = {"rwdd": 1, "prebid": {"is_rewarded_inventory": 0}}
    body = request({"banner": BANNER, "ext": ext})
    assert decode(json.dumps(body).encode()).imp[0].rwdd == 1


def test_a_flag_of_prebid_may_be_a_boolean():
    body = request({"banner": BANNER, "ext": {"prebid": {"is_rewarded_inventory": True}}})
    assert decode(json.dumps(body).encode()).imp[0].rwdd == 1
