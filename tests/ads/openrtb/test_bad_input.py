"""What exchanges should not send: absurd, contradictory, unknown or broken members."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.model import Ask
from ringwork.ads.openrtb import BadBidRequest, NoBid, decode, to_ask
from ringwork.ads.openrtb.ask import SLOTS_MAX
from ringwork.ads.openrtb.slots import DEALS_MAX
from tests.ads.openrtb.wire import (
    AUDIO,
    BANNER,
    NOW_US,
    TERMS,
    VIDEO,
    asked,
    native,
    read,
    reason,
    refusal,
    request,
    slot_of,
)

EVERYTHING = {
    "id": "r", "test": 0, "at": 1, "tmax": 100, "cur": ["EUR"], "wseat": ["ringwork"], "bapp": [],
    "bcat": ["1"], "badv": ["a.example"], "wlang": ["pt"],
    "imp": [{
        "id": "1", "instl": 0, "secure": 1, "exp": 60, "bidfloor": 1.5, "bidfloorcur": "EUR",
        "rwdd": 0, "metric": [{"type": "viewability", "value": 0.7}],
        "qty": {"multiplier": 1.5}, "refresh": {"count": 1, "refsettings": [{"minint": 30}]},
        "banner": {**BANNER, "format": [{"w": 1, "h": 2}, {"wmin": 1, "wratio": 2, "hratio": 3}],
                   "btype": [1], "battr": [1]},
        "video": {**VIDEO, "minduration": 1, "maxduration": 60, "maxextended": 5, "poddur": 60,
                  "maxseq": 3, "podid": "p", "poddedupe": [1], "protocols": [3], "skip": 1,
                  "linearity": 1, "delivery": [2], "battr": [2],
                  "durfloors": [{"mindur": 1, "maxdur": 9, "bidfloor": 2}]},
        "audio": {**AUDIO, "rqddurs": [15, 30], "mincpmpersec": 0.1, "protocols": [13]},
        "native": {**native()["native"], "battr": [3]},
        "pmp": {"private_auction": 0, "deals": [
            {"id": "d", "bidfloor": 2, "bidfloorcur": "EUR", "at": 3, "wseat": ["ringwork"],
             "wadomain": ["b.example"]}]},
        "ext": {"prebid": {"is_rewarded_inventory": 1}},
    }],
    "site": {"id": "s", "domain": "n.example", "cat": ["1"], "page": "https://n.example/",
             "publisher": {"id": "pub"}, "content": {"cat": ["2"], "language": "pt"}},
    "device": {"geo": {"country": "PRT", "region": "11", "accuracy": 5}, "devicetype": 2, "w": 1},
    "user": {"consent": "C", "geo": {"accuracy": 1}, "keywords": "a"},
    "source": {"schain": {"ver": "1.0", "complete": 1, "nodes": [{"asi": "a", "sid": "b"}]}},
    "regs": {"coppa": 0, "gdpr": 1, "us_privacy": "1YNN", "gpp": "D", "gpp_sid": [7],
             "ext": {"dsa": {"dsarequired": 2, "pubrender": 1, "datatopub": 2,
                             "transparency": [{"domain": "x", "dsaparams": [1]}]}}},
}  # fmt: skip


def paths(value: object, path: tuple = ()) -> list[tuple]:
    """The path of every member."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else []
    items = enumerate(value) if isinstance(value, list) else items
    for key, inner in items:
        found += paths(inner, (*path, key))
    return found


def changed(path: tuple, value: object) -> dict:
    body = json.loads(json.dumps(EVERYTHING))
    place = body
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return body


ODD = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        99,
        500,
        2**31,
        2**63,
        10**30,
        0.5,
        -0.5,
        1e-300,
        1e300,
        "",
        "x",
        "EUR",
        "x" * 1_000,
        "\u0000",
        "\U0001f3a8",
        [],
        [None],
        [[]],
        [1, -1, 10**30],
        ["", "x"],
        [{}],
        {},
        {"ext": {}},
        {"ext": 1},
        {"id": None},
    ]
) | st.recursive(st.integers() | st.text(max_size=5), lambda one: st.lists(one, max_size=3))


def test_everything_at_once_is_answered():
    ask = asked(EVERYTHING)
    assert isinstance(ask, Ask)
    assert {slot.format for slot in ask.slots} == {"banner", "video", "audio", "native"}


@given(st.sampled_from(paths(EVERYTHING)), ODD)
def test_any_value_in_any_member_is_answered_or_refused_in_words(path, value):
    try:
        ask = asked(changed(path, value))
    except BadBidRequest as error:
        assert error.path
        assert str(error)
    else:
        assert isinstance(ask, Ask | NoBid)
        if isinstance(ask, Ask):
            assert 0 < len(ask.slots) <= SLOTS_MAX
            assert all(0 <= slot.floor_for(30) < 2**53 for slot in ask.slots)


@given(st.sampled_from(paths(EVERYTHING)))
def test_any_member_but_the_required_may_be_absent(path):
    body = json.loads(json.dumps(EVERYTHING))
    place = body
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    required = {
        ("id",), ("imp",), ("imp", 0), ("imp", 0, "id"), ("imp", 0, "metric", 0, "type"),
        ("imp", 0, "video", "mimes"), ("imp", 0, "audio", "mimes"), ("imp", 0, "video", "mimes", 0),
        ("imp", 0, "audio", "mimes", 0), ("imp", 0, "native", "request"),
        ("imp", 0, "qty", "multiplier"), ("imp", 0, "pmp", "deals", 0, "id"),
    }  # fmt: skip
    formats = ("imp", 0, "banner", "format")
    if path in required or (path[:4] == formats and len(path) == 6):
        assert refusal(body)
    else:
        assert isinstance(asked(body), Ask)


@pytest.mark.parametrize("gdpr", [None, 0, 1])
@pytest.mark.parametrize("sections", [None, [], [2], [7], [-1], [6, 6, 99]])
@pytest.mark.parametrize("older", [{}, {"gdpr": 0}, {"gdpr": 1, "us_privacy": "???"}])
def test_privacy_signals_that_contradict_each_other_are_all_kept(gdpr, sections, older):
    regs = {"gdpr": gdpr, "gpp": "DBAA", "gpp_sid": sections, "us_privacy": "1---", "ext": older}
    found = read(request(regs=regs, user={"consent": "not a consent string"}, device={"ext": {}}))
    assert found.regs.gpp_sid == sections
    assert found.regs.gdpr == (older.get("gdpr") if gdpr is None else gdpr)
    assert found.regs.us_privacy == "1---"


@pytest.mark.parametrize(
    "imp",
    [
        {"banner": {**BANNER, "btype": [99], "battr": [0, 9_999]}},
        {"video": {**VIDEO, "protocols": [3, 999], "linearity": 99, "delivery": [2, 99]}},
        {"video": {**VIDEO, "poddedupe": [77], "podid": "x", "playbackmethod": [99]}},
        {"banner": BANNER, "pmp": {"private_auction": 7, "deals": [{"id": "d", "at": 777}]}},
        {"banner": BANNER, "refresh": {"refsettings": [{"reftype": 99}]}},
    ],
)
def test_values_from_the_future_are_tolerated(imp):
    assert asked(request(imp, at=999, device={"devicetype": 99})).slots


@pytest.mark.parametrize("currency", ["", "eur", "XXX", "EURO", "\u20ac", "x" * 100_000])
def test_an_unknown_currency_is_no_bid(currency):
    floor = {"banner": BANNER, "bidfloor": 1, "bidfloorcur": currency}
    assert reason(request(floor)) == "currency"
    assert reason(request(cur=[currency])) == "currency"


@pytest.mark.parametrize("price", ["-0.000001", "1000000.000001", "1e300", "1e999999", "-1e999999"])
def test_prices_out_of_reach_are_refused(price):
    text = json.dumps(request({"banner": BANNER, "bidfloor": "PRICE"}))
    with pytest.raises(BadBidRequest) as caught:
        decode(text.replace('"PRICE"', price).encode())
    assert caught.value.path == "imp[0].bidfloor"


@pytest.mark.parametrize(
    ("price", "nanos"),
    [("1e-999999", 1), ("0." + "0" * 50_000 + "1", 1), ("-0", 0), ("-0.0", 0), ("1e6", 10**12),
     ("0." + "3" * 50_000, 333_334)],
)  # fmt: skip
def test_prices_with_absurd_digits_are_read_exactly(price, nanos):
    text = json.dumps(request({"banner": BANNER, "bidfloor": "PRICE", "bidfloorcur": "EUR"}))
    found = to_ask(
        decode(text.replace('"PRICE"', price).encode()), TERMS, request_id=bytes(16), now_us=NOW_US
    )
    assert found.slots[0].floor_nanos == nanos


def test_lists_as_long_as_a_body_allows():
    body = request({"banner": {**BANNER, "battr": list(range(5_000))}})
    body |= {"badv": [f"a{number}.example" for number in range(8_000)], "bcat": ["1"] * 5_000}
    ask = asked(body)
    assert len(ask.context.blocked_domains) == 8_000


def test_nesting_inside_what_is_ignored_and_what_is_not():
    deep = json.loads("[" * 200 + "]" * 200)
    assert asked(request(unknown=deep, ext={"x": deep})).slots
    assert refusal(request(site={"cat": deep})) == "site.cat[0]"
    text = json.dumps(request()).replace('"r"', '"r", "site": {"content": ' + '{"ext": ' * 50_000)
    with pytest.raises(BadBidRequest) as caught:
        decode(text.encode())
    assert caught.value.path == "JSON"


def test_of_duplicate_members_at_any_depth_the_last_one_counts():
    body = (
        b'{"id":"1","imp":[{"id":"1","banner":{"w":1,"w":300,"h":250},"bidfloor":9,"bidfloor":1,'
        b'"bidfloorcur":"USD","bidfloorcur":"EUR"}],"cur":["USD"],"cur":["EUR"],'
        b'"imp":[{"id":"2","banner":{"w":1,"w":300,"h":250},"bidfloor":9,"bidfloor":1,'
        b'"bidfloorcur":"USD","bidfloorcur":"EUR"}]}'
    )
    (slot,) = to_ask(decode(body), TERMS, request_id=bytes(16), now_us=NOW_US).slots
    assert (slot.id, slot.sizes, slot.floor_nanos) == ("2", ((300, 250),), 1_000_000)


def test_deals_without_end_are_cut():
    deals = [{"id": str(number)} for number in range(2_000)]
    ask = asked(request({"banner": BANNER, "pmp": {"deals": deals}}))
    assert [slot.deal_id for slot in ask.slots] == [str(n) for n in range(DEALS_MAX)] + ["", ""]


def test_an_impression_without_time_is_held_for_the_default():
    assert slot_of({"banner": BANNER, "exp": 0}).hold_s == TERMS.hold_s
