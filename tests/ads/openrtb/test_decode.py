"""Bytes to a valid request: every rule with the path of its member, and no other errors."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.openrtb import BadBidRequest, decode
from ringwork.ads.openrtb.validate import IMPS_MAX
from tests.ads.openrtb.wire import BANNER, VIDEO, native, read, refusal, request


def video(**members) -> dict:
    return {"video": {**VIDEO, **members}}


def banner(**members) -> dict:
    return {"banner": members}


def deal(**members) -> dict:
    return {"banner": BANNER, "pmp": {"deals": [{"id": "d", **members}]}}


FLOORS = [{"mindur": 1, "maxdur": 9, "bidfloor": 1}]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("id", {}),
        ("id", request(id="")),
        ("imp", request(imp=None) | {"imp": []}),
        ("imp", {"id": "r", "imp": [{"id": str(i), "banner": BANNER} for i in range(IMPS_MAX + 1)]}),
        ("imp[0]", {"id": "r", "imp": [{}]}),
        ("imp[0]", request({"id": "1"})),
        ("imp[1].id", {"id": "r", "imp": [{"id": "1", "banner": BANNER}] * 2}),
        ("tmax", request(tmax=-1)),
        ("site|app|dooh", request(site={}, app={})),
        ("site|app|dooh", request(site={}, dooh={})),
        ("imp[0].banner", request(banner())),
        ("imp[0].banner", request(banner(w=300))),
        ("imp[0].banner", request(banner(format=[]))),
        ("imp[0].banner.w", request(banner(w=-1, h=1))),
        ("imp[0].banner.h", request(banner(w=1, h=2**31))),
        ("imp[0].banner.format[0]", request(banner(format=[{}]))),
        ("imp[0].banner.format[1]", request(banner(format=[BANNER, {"w": 1}]))),
        ("imp[0].banner.format[0]", request(banner(format=[{"wratio": 1, "hratio": 1}]))),
        ("imp[0].banner.format[0]", request(banner(format=[{**BANNER, "wmin": 1}]))),
        ("imp[0].video.mimes", request({"video": {}})),
        ("imp[0].video.mimes", request(video(mimes=[]))),
        ("imp[0].video.maxseq", request(video(maxseq=-1))),
        ("imp[0].video.rqddurs|minduration", request(video(rqddurs=[15], minduration=5))),
        ("imp[0].video.rqddurs|maxduration", request(video(rqddurs=[15], maxduration=5))),
        ("imp[0].video.mincpmpersec|durfloors", request(video(mincpmpersec=1, durfloors=FLOORS))),
        ("imp[0].video.mincpmpersec", request(video(mincpmpersec=-1))),
        ("imp[0].video.durfloors[0].bidfloor", request(video(durfloors=[{"bidfloor": -1}]))),
        ("imp[0].audio.mimes", request({"audio": {}})),
        ("imp[0].audio.minbitrate", request({"audio": {"mimes": ["a"], "minbitrate": -1}})),
        ("imp[0].native", request({"native": {}})),
        ("imp[0].native.request", request({"native": {"request": ""}})),
        ("imp[0].native.request", request({"native": {"request": {"assets": []}}})),
        ("imp[0].metric[0].type", request({"banner": BANNER, "metric": [{}]})),
        ("imp[0].bidfloor", request({"banner": BANNER, "bidfloor": -0.01})),
        ("imp[0].bidfloor", request({"banner": BANNER, "bidfloor": 10**7})),
        ("imp[0].bidfloor", request({"banner": BANNER, "bidfloor": "NaN"})),
        ("imp[0].bidfloor", request({"banner": BANNER, "bidfloor": "Infinity"})),
        ("imp[0].pmp.deals[0]", request(deal(id=""))),
        ("imp[0].pmp.deals[0].bidfloor", request(deal(bidfloor=-1))),
        ("imp[0].pmp.deals[0].mincpmpersec", request(deal(mincpmpersec=-1))),
        ("imp[0].pmp.deals[0].durfloors[0].bidfloor", request(deal(durfloors=[{"bidfloor": -1}]))),
        ("imp[0].pmp.deals[0].bidfloor|mincpmpersec", request(deal(bidfloor=1, mincpmpersec=1))),
        ("imp[0].pmp.deals[0].bidfloor|durfloors", request(deal(bidfloor=1, durfloors=FLOORS))),
        ("site.keywords|kwarray", request(site={"keywords": "a", "kwarray": ["a"]})),
        ("app.keywords|kwarray", request(app={"keywords": "a", "kwarray": ["a"]})),
        ("user.keywords|kwarray", request(user={"keywords": "a", "kwarray": ["a"]})),
        (
            "app.content.keywords|kwarray",
            request(app={"content": {"keywords": "a", "kwarray": ["a"]}}),
        ),
        ("dooh.content.language|langb", request(dooh={"content": {"language": "a", "langb": "b"}})),
        ("device.language|langb", request(device={"language": "pt", "langb": "pt-PT"})),
        ("wlang|wlangb", request(wlang=["pt"], wlangb=["pt-PT"])),
        ("acat|bcat", request(acat=["1"], bcat=["2"])),
        ("device.geo.accuracy", request(device={"geo": {"accuracy": -1}})),
        ("user.geo.accuracy", request(user={"geo": {"accuracy": -1}})),
        ("device.ppi", request(device={"ppi": -1})),
        ("regs.gdpr", request(regs={"gdpr": 2})),
        ("regs.ext", request(regs={"ext": {"gdpr": 2}})),
        ("regs.ext", request(regs={"ext": "x"})),
        ("user.ext", request(user={"ext": {"consent": 1}})),
        ("ext", request(ext=[])),
        ("imp[0].banner.w", request(banner(w="300", h=250))),
        ("imp[0].banner.w", request(banner(w=True, h=250))),
        ("imp[0].banner.w", request(banner(w=300.5, h=250))),
    ],
)  # fmt: skip
def test_a_broken_rule_is_refused_with_the_path_of_its_member(path, body):
    assert refusal(body) == path


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("JSON", b""),
        ("JSON", b"{"),
        ("JSON", b'"text"'),
        ("JSON", b"[]"),
        ("JSON", b'{"id": "\xff"}'),
        ("JSON", b'\xef\xbb\xbf{"id": "1"}'),
        ("JSON", b'{"id": "\\ud800"}'),
        ("JSON", b'{"ext2": ' + b"[" * 100_000),
        ("JSON", b'{"imp": [{"banner": {"w": 300.0}}], "x": ' + b"[" * 100_000),
        ("id", b" null "),
        ("JSON", b'{"imp": [{"bidfloor": NaN}]}'),
        ("imp[0].bidfloor", b'{"id": "1", "imp": [{"id": "1", "banner": {"w": 1, "h": 1}, '
         b'"bidfloor": 1e999999}]}'),
    ],
)  # fmt: skip
def test_what_is_no_json_object(path, body):
    with pytest.raises(BadBidRequest) as caught:
        decode(body)
    assert caught.value.path == path


def test_an_error_points_into_the_body():
    with pytest.raises(BadBidRequest) as caught:
        read(request(banner(w=-1, h=1)))
    (fault,) = caught.value.errors
    assert (fault.pointer, caught.value.status) == ("/imp/0/banner/w", 400)
    with pytest.raises(BadBidRequest) as caught:
        read(request(site={}, app={}))
    assert caught.value.errors[0].pointer == "/site"


def test_null_is_absent_and_unknown_members_are_ignored():
    body = request(site=None, at=None, unknown={"deep": [1]})
    body["imp"][0] |= {"video": None, "future": 1}
    assert read(body).site is None


def test_an_interstitial_may_leave_its_size_out():
    assert read(request({"banner": {}, "instl": 1})).imp[0].banner.w is None


def test_an_integral_number_with_a_point_is_an_integer():
    body = b'{"id":"1","imp":[{"id":"1","banner":{"w":300.0,"h":2.5e2},"bidfloor":0.0019620}]}'
    (imp,) = decode(body).imp
    assert (imp.banner.w, imp.banner.h, str(imp.bidfloor)) == (300, 250, "0.0019620")


def test_of_duplicate_members_the_last_one_counts():
    assert decode(b'{"id":"1","id":"2","imp":[{"id":"1","banner":{"w":1,"h":1}}]}').id == "2"


def test_nothing_of_a_person_or_device_is_decoded():
    marks = {name: f"secret-{name}" for name in ("ifa", "ip", "ipv6", "ua", "didsha1", "macmd5")}
    body = request(
        user={"id": "secret-user", "buyeruid": "secret-buyer", "yob": 1980, "gender": "F",
              "eids": [{"source": "secret-source", "uids": [{"id": "secret-eid"}]}],
              "data": [{"name": "secret-data"}], "customdata": "secret-custom",
              "ext": {"eids": [{"source": "secret-source"}], "data": "secret-ext"}},
        device={**marks, "geo": {"lat": 38.7, "lon": -9.1, "zip": "secret-zip", "city": "secret"}},
        source={"tid": "secret-tid", "fd": 1},
    )  # fmt: skip
    body["imp"][0]["ext"] = {"tid": "secret-tid"}
    assert "secret" not in repr(read(body))
    assert "38.7" not in repr(read(body))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = (
    "id", "imp", "site", "app", "device", "user", "regs", "source", "tmax", "banner", "video",
    "native", "request", "format", "ext", "w", "h", "bidfloor", "pmp", "deals", "geo", "gdpr",
)  # fmt: skip
TANGLED = st.recursive(
    JSON,
    lambda inner: st.dictionaries(st.sampled_from(NAMES), inner | st.lists(inner, max_size=2)),
    max_leaves=12,
)


@given(TANGLED)
def test_any_json_is_a_request_or_refused(value):
    try:
        decode(json.dumps(value).encode())
    except BadBidRequest as error:
        assert error.path


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(body):
    with pytest.raises(BadBidRequest):
        decode(body)


def test_a_valid_native_request_is_parsed_once():
    (imp,) = read(request(native())).imp
    assert imp.native.request.request.assets[0].title.len == 25
