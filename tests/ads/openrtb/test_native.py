"""Native 1.2 requests: the rules, and what creatives must have."""

import json

import pytest

from ringwork.ads.openrtb.native import parse

TITLE = {"title": {"len": 25}}
IMAGE = {"img": {"wmin": 30}}
VIDEO = {"mimes": ["video/mp4"], "minduration": 5, "maxduration": 30, "protocols": [3]}


def wanted(*assets, **members):
    return parse(json.dumps({"assets": list(assets) or [TITLE], **members}))


@pytest.mark.parametrize(
    "members",
    [
        {"context": 1, "contextsubtype": 15}, {"context": 2, "contextsubtype": 22},
        {"context": 3, "contextsubtype": 30}, {"context": 500, "contextsubtype": 1},
        {"contextsubtype": 20}, {"context": 1, "contextsubtype": 500}, {"plcmttype": 4},
        {"plcmttype": 501}, {"eventtrackers": [{"event": 4, "methods": [1, 2, 500]}]},
        {"eventtrackers": [{"event": 500, "methods": [1]}]}, {"ver": "1.2", "future": True},
    ],
)  # fmt: skip
def test_what_is_accepted(members):
    assert wanted(**members).request.assets


@pytest.mark.parametrize(
    "asset",
    [TITLE, IMAGE, {"video": VIDEO}, {"data": {"type": 12}}, {"data": {"type": 500, "len": 9}}],
)
def test_assets_that_are_accepted(asset):
    assert wanted(asset)


@pytest.mark.parametrize(
    ("says", "members"),
    [
        ("context must be", {"context": 4}), ("context must be", {"context": 0}),
        ("does not belong", {"context": 1, "contextsubtype": 20}),
        ("does not belong", {"context": 3, "contextsubtype": 33}),
        ("does not belong", {"contextsubtype": -1}), ("plcmttype", {"plcmttype": 5}),
        (r"eventtrackers\[0\].event", {"eventtrackers": [{"methods": [1]}]}),
        (r"eventtrackers\[0\].methods", {"eventtrackers": [{"event": 1}]}),
        (r"eventtrackers\[0\].methods", {"eventtrackers": [{"event": 1, "methods": [3]}]}),
        ("assets must hold", {"assets": []}), ("not a native request", {"assets": {}}),
    ],
)  # fmt: skip
def test_what_is_refused(says, members):
    with pytest.raises(ValueError, match=says):
        wanted(**members)


@pytest.mark.parametrize(
    ("says", "assets"),
    [
        ("exactly one", [{}]), ("exactly one", [{**TITLE, **IMAGE}]),
        ("title.len", [{"title": {}}]), ("data.type", [{"data": {"type": 13}}]),
        ("w", [{"img": {"w": -1}}]), ("mimes", [{"video": {**VIDEO, "mimes": []}}]),
        ("minduration", [{"video": {**VIDEO, "minduration": 0}}]),
        ("maxduration", [{"video": {**VIDEO, "maxduration": 4}}]),
        ("protocols", [{"video": {**VIDEO, "protocols": []}}]),
        ("protocols", [{"video": {**VIDEO, "protocols": [97]}}]),
        ("every asset has an id", [{"id": 1, **TITLE}, IMAGE]),
        ("unique", [{"id": 1, **TITLE}, {"id": 1, **IMAGE}]),
    ],
)  # fmt: skip
def test_assets_that_are_refused(says, assets):
    with pytest.raises(ValueError, match=says):
        wanted(*assets)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"native": 1}', "[" * 100_000])
def test_what_is_no_native_request(text):
    with pytest.raises(ValueError, match=r"native request|assets"):
        parse(text)


def test_the_envelope_of_1_0_is_read_and_answered_in_kind():
    assert parse(json.dumps({"native": {"assets": [TITLE]}})).wrapped
    assert not wanted().wrapped


@pytest.mark.parametrize(
    ("assets", "needs"),
    [
        ([TITLE], ()),
        ([{**IMAGE, "required": 1}], ("image",)),
        ([{"img": {"type": 3}, "required": 1}, {"data": {"type": 2}, "required": 1}],
         ("image", "text")),
        ([{"img": {"type": 1}}], ()),
        ([{"img": {"type": 1}, "required": 1}], None),
        ([{"data": {"type": 1}, "required": 1}, {"data": {"type": 11}, "required": 1}], ()),
        ([{"data": {"type": 6}, "required": 1}], None),
        ([{"video": VIDEO, "required": 1}], None),
    ],
)  # fmt: skip
def test_what_required_assets_demand_of_a_creative(assets, needs):
    assert wanted(*assets).needs == needs
