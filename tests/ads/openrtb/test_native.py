"""Native 1.2 requests: the rules, and what creatives must have."""

import json

import pytest

from ringwork.ads.markup import Markup, Urls
from ringwork.ads.model import ImageSize
from ringwork.ads.openrtb.native import parse
from tests.ads.house import House
from tests.ads.openrtb.wire import BASE, bid, native, native_creative, request, served, slot_of

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
        ([{"img": {"type": 1}, "required": 1}], ("icon",)),
        ([{"img": {"type": 2}, "required": 1}], None),
        ([{"data": {"type": 12}, "required": 1}, {"data": {"type": 3}, "required": 1}],
         ("ctatext", "rating")),
        ([{"data": {"type": 1}, "required": 1}, {"data": {"type": 11}, "required": 1}], ()),
        ([{"data": {"type": 500}, "required": 1}], None),
        ([{"video": VIDEO, "required": 1}], None),
    ],
)  # fmt: skip
def test_what_required_assets_demand_of_a_creative(assets, needs):
    assert wanted(*assets).needs == needs


@pytest.mark.parametrize(
    ("images", "sizes"),
    [
        ([{"type": 3, "wmin": 1200, "hmin": 627}], (ImageSize(0, 0, 1200, 627),)),
        ([{"type": 3, "w": 300, "h": 250}], (ImageSize(300, 250, 0, 0),)),
        ([{"w": 300, "wmin": 200}], (ImageSize(0, 0, 200, 0),)),  # w is then what is liked best
        ([{"type": 1, "w": 80, "h": 80}], ()),
        ([{}], ()),
    ],
)
def test_the_sizes_of_required_images(images, sizes):
    assert wanted(*({"img": one, "required": 1} for one in images)).images == sizes
    assert wanted(*({"img": one} for one in images)).images == ()


@pytest.mark.parametrize(
    ("size", "is_sold"),
    [((1200, 627), True), ((1200, 626), False), ((2400, 1254), True), ((0, 0), False)],
)
def test_a_required_image_has_the_size_that_its_place_asks_for(size, is_sold):
    """Also one of a size that nobody knows stays out."""
    image = {"id": 1, "required": 1, "img": {"type": 3, "wmin": 1200, "hmin": 627}}
    assert sells(image, width=size[0], height=size[1]) == is_sold
    assert sells({**image, "required": 0}, width=size[0], height=size[1])


@pytest.mark.parametrize(
    ("asset", "members"),
    [
        ({"data": {"type": 12}}, {"data": {"ctatext": "Order now"}}),
        ({"data": {"type": 3}}, {"data": {"rating": "4.5"}}),
        ({"img": {"type": 1, "w": 80}}, {"icon_url": "https://adv.example/icon.png"}),
    ],
)
def test_a_required_asset_is_had_or_nothing_is_sold(asset, members):
    assert sells({**asset, "required": 1}, **members)
    assert not sells({**asset, "required": 1})
    assert sells(asset)


def sells(asset: dict, **members: object) -> bool:
    given = {"width": 600, "height": 400, **members}
    with House() as house:
        house.open()
        house.campaign()
        house.creative(
            format="native", html="", title="t", image_url="https://adv.example/a.png", **given
        )
        return bool(house.serve(slot_of(native(assets=[{**asset, "id": 7}])))[1])


ASSETS = [
    {"id": 1, "title": {"len": 25}}, {"id": 2, "img": {"type": 1, "wmin": 50}},
    {"id": 3, "img": {"type": 3, "wmin": 1200}}, {"id": 4, "data": {"type": 1}},
    {"id": 5, "data": {"type": 12, "len": 8}}, {"id": 6, "data": {"type": 7}},
    {"id": 7, "img": {"type": 3, "w": 300}},
]  # fmt: skip


def test_every_asset_that_the_creative_has_is_filled():
    """The seventh wants an image 300 wide, which this one is not; it does not have to be there."""
    ad = native_creative(
        icon_url="https://adv.example/icon.png", data={"ctatext": "Order it now", "price": "9 EUR"}
    )
    written = json.loads(bid(request(native(assets=ASSETS)), served(ad, behalf="Adv Ltd"))["adm"])
    assert written["assets"] == [
        {"id": 1, "title": {"text": "Paint your hall in an af…"}},
        {"id": 2, "img": {"url": "https://adv.example/icon.png", "type": 1}},
        {"id": 3, "img": {"url": "https://adv.example/a.png", "w": 1200, "h": 627}},
        {"id": 4, "data": {"type": 1, "value": "Adv Ltd"}},
        {"id": 5, "data": {"type": 12, "value": "Order i…"}},
    ]


def test_a_card_shows_what_to_do_escaped():
    card = Markup(Urls(BASE)).card(served(native_creative(data={"ctatext": "<Order> now"})))
    assert "&lt;Order&gt; now" in card
    assert "<Order>" not in card
