"""The life of a campaign by the console's forms, over HTTP, on the real application."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from io import BytesIO

import httpx
import pytest

from ringwork.app.erasure import envelopes
from ringwork.kernel.ids import format_id
from ringwork.web.keys import Role
from tests.console.town import Town

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000002000000010802000000"
    "7b40e8dd0000000f49444154789c63f8cfc0f0ff3f030009fe02fe9b5b4f1e0000000049454e44ae426082"
)
"""Two pixels by one; its chunks' checksums are nobody's concern here."""
LANDING = "https://hp.example/autumn"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with Town(tmp_path_factory.mktemp("town") / "data").serving() as running:
        yield running


@pytest.fixture(scope="module")
def careful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A platform that asks for reviews."""
    with Town(tmp_path_factory.mktemp("careful") / "data", review_required=True).serving() as town:
        yield town


class Fields(HTMLParser):
    """What a browser would send of the forms of a page, by their address."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: dict[str, dict[str, list[str]]] = {}
        self.buttons: dict[str, list[tuple[str, str]]] = {}
        self._form, self._area, self._select = "", "", ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = given["action"] if given.get("method") == "post" else ""
            self.forms.setdefault(self._form, {})
        if not self._form:
            return
        form = self.forms[self._form]
        kind, name = given.get("type", ""), given.get("name", "")
        if tag == "input" and kind not in ("file", "checkbox"):
            form.setdefault(name, []).append(given.get("value", ""))
        elif tag == "input" and kind == "checkbox" and "checked" in given:
            form.setdefault(name, []).append(given["value"])
        elif tag == "textarea":
            self._area = name
            form[name] = [""]
        elif tag == "select":
            self._select = name
        elif tag == "option" and "selected" in given and self._select:
            form[self._select] = [given["value"]]
        elif tag == "button":
            pair = (name, given.get("value", ""))
            self.buttons.setdefault(self._form, []).append(pair)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = ""
        elif tag in ("textarea", "select"):
            self._area = self._select = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.forms[self._form][self._area] = [
                self.forms[self._form][self._area][0] + data.removeprefix("\n")
            ]


class Person:
    """Somebody with a browser: opens a page, fills its form, presses a button."""

    def __init__(self, town: Town, role: Role = "admin") -> None:
        cookie = town.platform.sign_in.make_session(role)
        self.http = httpx.Client(
            base_url=town.url,
            cookies={"rw_session": cookie},
            headers={"origin": town.url},
            limits=httpx.Limits(max_keepalive_connections=0),
            timeout=30,
        )

    def open(self, address: str) -> str:
        answer = self.http.get(address)
        assert answer.status_code == 200, (address, answer.status_code)
        return answer.text

    def form(self, page: str, action: str) -> dict[str, list[str]]:
        return {name: list(values) for name, values in Fields(page).forms[action].items()}

    def send(
        self,
        address: str,
        typed: dict[str, str | list[str]],
        *,
        action: str = "",
        page: str = "",
        files: dict[str, tuple[str, bytes]] | None = None,
    ) -> httpx.Response:
        action = action or address
        form: dict[str, str | list[str]] = dict(self.form(page or self.open(address), action))
        return self.http.post(action, data={**form, **typed}, files=files)

    def press(self, address: str, what: str, value: str, **typed: str) -> httpx.Response:
        """A button of a page: ``status`` or ``review`` below its address."""
        page, action = self.open(address), f"{address}/{what}"
        name = {"status": "status", "review": "decision"}[what]
        assert (name, value) in Fields(page).buttons.get(action, []), f"no button {value}"
        keyed = {}
        if what == "status":
            # Each button is a form of its own, with a key that ends with its value.
            keys = re.findall(r'name="key" value="([^"]+)"', page)
            keyed = {"key": next(key for key in keys if key.endswith(f".{value}"))}
        return self.send(address, {**typed, **keyed, name: value}, action=action, page=page)


def campaign_typed(id: str, **more: str | list[str]) -> dict[str, str | list[str]]:
    return {
        "/name": "Autumn again", "/id": id, "/advertiser_id": "hp", "/bid_nanos": "0.0025",
        "/budget": "20", "do": "draft", **more,
    }  # fmt: skip


def creative_typed(id: str, campaign: str, **more: str) -> dict[str, str | list[str]]:
    return {
        "/name": "Exteriors", "/id": id, "/campaign_id": campaign, "/landing_url": LANDING,
        "do": "draft", **more,
    }  # fmt: skip


def led_to(answer: httpx.Response, path: str) -> None:
    assert answer.status_code == 303, fault_texts(answer.text)
    assert answer.headers["location"].partition("?")[0] == path


def fault_texts(html: str) -> list[str]:
    """What a page says is wrong: beside entries and in alerts."""
    found = re.findall(r'<p class="fault"[^>]*>(.*?)</p>', html)
    return [unescape(each) for each in found] + re.findall(
        r'role="alert"[^>]*>\s*<p>(.*?)</p>', html
    )


# ---- the whole life ------------------------------------------------------------------------------


def test_a_campaigns_life_from_draft_to_end(careful: Town) -> None:
    author, reviewer = Person(careful, "manager"), Person(careful, "reviewer")
    path = "/console/campaigns/life"
    led_to(author.send("/console/new-campaign", campaign_typed("life")), path)
    catalogue = careful.platform.memory.catalogue
    assert catalogue.campaigns["life"].status == "draft"
    assert catalogue.campaigns["life"].bid_nanos == 2_500_000
    assert "It was created." in author.open(f"{path}?done=created")

    new = "/console/new-creative?campaign=life&way=image"
    answer = author.send(
        new, creative_typed("life-1", "life"), files={"/html-file": ("a.png", PNG)}
    )
    led_to(answer, "/console/creatives/life-1")
    made = catalogue.creatives["life-1"]
    assert (made.width, made.height, made.format) == (2, 1, "banner")
    assert made.html.startswith('<img src="data:image/png;base64,')
    page = author.open("/console/creatives/life-1")
    assert 'sandbox="allow-scripts allow-popups"' in page
    shown = author.http.get("/v1/creatives/life-1/preview")
    assert shown.status_code == 200
    assert "data:image/png" in shown.text

    for each in (path, "/console/creatives/life-1"):
        led_to(author.press(each, "status", "review"), each)
        assert "/review" not in "".join(Fields(author.open(each)).forms), "no decision for authors"
    refused = reviewer.press(path, "review", "reject")
    assert refused.status_code == 409
    assert fault_texts(refused.text)[0].startswith("To reject takes a reason")
    assert catalogue.campaigns["life"].status == "review"
    led_to(reviewer.press(path, "review", "reject", reason="Say what it is of"), path)
    assert "Say what it is of" in author.open(path)

    edited = author.send(f"{path}/edit", {"/name": "Paint, autumn", "do": "save"})
    led_to(edited, path)
    led_to(author.press(path, "status", "review"), path)
    for each in (path, "/console/creatives/life-1"):
        led_to(reviewer.press(each, "review", "approve"), each)
    assert catalogue.campaigns["life"].status == "active"
    assert catalogue.creatives["life-1"].status == "active"
    for status in ("paused", "active", "ended"):
        led_to(author.press(path, "status", status), path)
        assert catalogue.campaigns["life"].status == status
    assert f"{path}/status" not in Fields(author.open(path)).forms
    history = author.http.get(f"{path}?format=json").json()["data"]["changes"]
    assert [row["action"] for row in history] == [
        "changed", "changed", "changed", "approved", "changed", "changed", "rejected", "changed",
        "created",
    ]  # fmt: skip
    assert ["name", "Autumn again", "Paint, autumn"] in history[5]["members"]
    assert {row["by"] for row in history} == {"console"}


def test_budget_bid_schedule_and_targeting_are_edited(town: Town) -> None:
    person, path = Person(town), "/console/campaigns/edited"
    led_to(person.send("/console/new-campaign", campaign_typed("edited")), path)
    typed: dict[str, str | list[str]] = {
        "/budget": "30", "/bid_nanos": "0.003", "/daily_budget": "2.5",
        "/ends_us": "2026-12-24 18:00", "/targeting/regions": "PRT\nESP",
        "/targeting/device_types": ["phone", "tablet"], "/targeting/hours": "8-11",
        "/targeting/audiences": "interest:483", "/targeting/excluded/audiences": "interest:9",
    }  # fmt: skip
    led_to(person.send(f"{path}/edit", typed), path)
    campaign = town.platform.memory.catalogue.campaigns["edited"]
    assert campaign.budget.total_nanos == 30 * 10**9
    assert campaign.bid_nanos == 3_000_000
    assert campaign.daily_budget is not None
    assert campaign.daily_budget.total_nanos == 2_500_000_000
    assert campaign.ends_us == 1_798_135_200_000_000  # date -ud '2026-12-24 18:00' +%s
    assert campaign.targeting.regions == ["PRT", "ESP"]
    assert campaign.targeting.device_types == ["phone", "tablet"]
    assert campaign.targeting.hours == [8, 9, 10, 11]
    assert campaign.targeting.audiences == ["interest:483"]
    assert campaign.targeting.excluded.audiences == ["interest:9"]
    account = town.platform.memory.ledger.accounts["campaign/edited"]
    assert account.available_nanos == 30 * 10**9, "the difference was moved"
    # A second save without changes changes nothing.
    before = town.platform.log.head.seq
    led_to(person.send(f"{path}/edit", {}), path)
    after = town.platform.log.head.seq
    assert after - before <= 1, "at most the answer to the key"


# ---- creatives in every way ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "typed"),
    [
        ("banner", {"/width": "300", "/height": "250", "/html": "<b>Ad</b>"}),
        ("tag", {"/width": "300", "/height": "250", "/html": "<a href='${CLICK_URL}'>Ad</a>"}),
        ("native", {"/title": "Paint", "/text": "All colours", "/image_url": "https://hp.example/a.png"}),
        ("video", {"/video_url": "https://hp.example/a.mp4", "/video_mime": "video/mp4", "/duration_s": "15"}),
        ("audio", {"/audio_url": "https://hp.example/a.mp3", "/audio_mime": "audio/mpeg", "/duration_s": "15"}),
    ],
)  # fmt: skip
def test_a_creative_in_each_way(town: Town, way: str, typed: dict[str, str]) -> None:
    person, id = Person(town), f"way-{way}"
    address = f"/console/new-creative?campaign=loans&way={way}"
    checked = person.send(address, {**creative_typed(id, "loans", **typed), "do": "check"})
    assert checked.status_code == 200, checked.text[-2000:]
    assert "found nothing" in checked.text, fault_texts(checked.text)
    assert id not in town.platform.memory.catalogue.creatives
    led_to(person.send(address, creative_typed(id, "loans", **typed)), f"/console/creatives/{id}")
    for page in (f"/console/creatives/{id}", f"/console/creatives/{id}/edit"):
        assert person.http.get(page).status_code == 200
    assert person.http.get(f"/v1/creatives/{id}/preview").status_code == 200


def bundle(**files: bytes) -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return packed.getvalue()


def test_an_html5_zip_becomes_one_page(town: Town) -> None:
    page = (
        b'<html><head><link rel="stylesheet" href="css/a.css"><script src="a.js"></script></head>'
        b'<body onclick="window.open(clickTag)"><img src="img/a.png?v=1"></body></html>'
    )
    packed = bundle(
        ad__index_html=page, ad__a_js=b'var clickTag = "https://x.example";',
        ad__css__a_css=b"body{background:url(../img/a.png)}", ad__img__a_png=PNG,
    )  # fmt: skip
    typed = creative_typed("zipped", "loans") | {"/width": "300", "/height": "250"}
    answer = Person(town).send(
        "/console/new-creative?campaign=loans&way=banner",
        typed,
        files={"/html-file": ("a.zip", packed)},
    )
    led_to(answer, "/console/creatives/zipped")
    html = town.platform.memory.catalogue.creatives["zipped"].html
    assert html.count("data:image/png;base64,") == 2
    assert '<script>var clickTag = "https://x.example";</script>' in html
    assert "<style>body{background:url(data:" in html


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (bundle(index_html=b'<img src="gone.png">'), "names 'gone.png', which the zip does not hold"),
        (bundle(a_html=b"x", b_html=b"y"), "an index.html, is expected; found 2 pages"),
        (bundle(index_html=b"x" * 1_000_001), "unpacks to more than 1000000 bytes"),
        (b"PK\x03\x04 no zip at all", "the zip cannot be read"),
        (PNG[:17], "cut off or broken"),
        (b"\xff\xfe\x00", "HTML in UTF-8, a PNG, JPEG, GIF or WebP picture, or a zip"),
    ],
)  # fmt: skip
def test_a_file_that_is_none_is_told_beside_its_input(town: Town, file: bytes, words: str) -> None:
    typed = creative_typed("bad", "loans") | {"/width": "300", "/height": "250"}
    answer = Person(town).send(
        "/console/new-creative?campaign=loans&way=banner", typed, files={"/html-file": ("f", file)}
    )
    assert answer.status_code == 422
    assert words in unescape(fault_texts(answer.text)[0])
    assert 'value="https://hp.example/autumn"' in answer.text, "what was typed stands"
    assert "bad" not in town.platform.memory.catalogue.creatives


# ---- what is wrong -------------------------------------------------------------------------------


def test_every_fault_stands_beside_its_entry_and_in_the_summary(town: Town) -> None:
    typed = campaign_typed(
        "wrong", **{"/bid_nanos": "a lot", "/budget": "", "/targeting/hours": "25", "/name": ""}
    )
    answer = Person(town).send("/console/new-campaign", typed)
    assert answer.status_code == 422
    page = answer.text
    for id in ("f-bid-nanos", "f-targeting-hours", "f-name"):
        assert f'href="#{id}"' in page
        assert f'id="{id}-fault"' in page
        assert re.search(rf'id="{id}"[^>]*aria-invalid="true"[^>]*{id}-fault', page), id
    assert 'value="a lot"' in page
    assert "wrong" not in town.platform.memory.catalogue.campaigns


def test_what_a_rule_refuses_is_told_too(town: Town) -> None:
    person = Person(town)
    unfunded = person.send("/console/new-campaign", campaign_typed("rich", **{"/budget": "999999"}))
    assert unfunded.status_code == 409
    assert fault_texts(unfunded.text)
    stranger = person.send(
        "/console/new-campaign", campaign_typed("lost", **{"/advertiser_id": "nobody"})
    )
    assert stranger.status_code == 409
    assert 'id="f-advertiser-id-fault"' in stranger.text
    assert not {"rich", "lost"} & town.platform.memory.catalogue.campaigns.keys()


def test_a_form_that_is_sent_twice_acts_once_and_not_for_other_values(town: Town) -> None:
    person = Person(town)
    page = person.open("/console/new-campaign")
    typed = campaign_typed("twice")
    for _ in range(2):
        answer = person.send("/console/new-campaign", typed, page=page)
        led_to(answer, "/console/campaigns/twice")
    other = person.send("/console/new-campaign", {**typed, "/id": "thrice"}, page=page)
    assert other.status_code == 409
    assert "sent before, with other values" in other.text
    assert "thrice" not in town.platform.memory.catalogue.campaigns
    led_to(
        person.send("/console/new-campaign", {**typed, "/id": "thrice"}, page=other.text),
        "/console/campaigns/thrice",
    )


def test_a_change_in_between_is_not_undone(town: Town) -> None:
    person, path = Person(town), "/console/campaigns/between"
    led_to(person.send("/console/new-campaign", campaign_typed("between")), path)
    old = person.open(f"{path}/edit")
    led_to(person.send(f"{path}/edit", {"/budget": "25"}), path)
    late = person.send(f"{path}/edit", {"/name": "Late"}, page=old)
    assert late.status_code == 409
    assert "changed while this form was open" in late.text
    campaign = town.platform.memory.catalogue.campaigns["between"]
    assert (campaign.name, campaign.budget.total_nanos) == ("Autumn again", 25 * 10**9)


# ---- who may -------------------------------------------------------------------------------------


WRITES = (
    ("/console/new-campaign", {"do": "draft"}),
    ("/console/campaigns/loans/edit", {"/name": "x"}),
    ("/console/campaigns/loans/status", {"status": "paused"}),
    ("/console/campaigns/loans/review", {"decision": "approve"}),
    ("/console/new-creative?way=banner", {"do": "draft"}),
    ("/console/creatives/tram-0/edit", {"/name": "x"}),
    ("/console/creatives/tram-0/status", {"status": "paused"}),
    ("/console/creatives/tram-0/review", {"decision": "reject", "reason": "x"}),
)


@pytest.mark.parametrize(("path", "typed"), WRITES)
def test_a_form_from_elsewhere_is_refused(town: Town, path: str, typed: dict[str, str]) -> None:
    before = town.platform.log.head.seq
    for csrf in ({}, {"csrf": "0" * 64}):
        answer = Person(town).http.post(path, data={**typed, **csrf, "key": "k"})
        assert answer.status_code == 403
        assert "another session" in answer.text
    # Housekeeping may have written meanwhile; of campaigns and their pictures nothing was.
    later = [one.type for one, seq in envelopes(town.platform.log.rows(before)) if seq > before]
    assert not [one for one in later if one.startswith(("campaign_", "creative_"))]


@pytest.mark.parametrize(("path", "typed"), WRITES)
def test_who_has_no_right_is_refused(town: Town, path: str, typed: dict[str, str]) -> None:
    person = Person(town, "viewer")
    token = town.platform.sign_in.csrf_token(person.http.cookies["rw_session"])
    answer = person.http.post(path, data={**typed, "csrf": token, "key": "k"})
    assert answer.status_code == 403
    stranger = httpx.post(f"{town.url}{path}", data=typed)
    assert stranger.status_code == 303, "to sign in"


@pytest.mark.parametrize("role", ["viewer", "reviewer", "finance", "auditor"])
def test_who_cannot_write_sees_no_form_for_it(town: Town, role: Role) -> None:
    person = Person(town, role)
    for page in ("/console/campaigns", "/console/campaigns/loans", "/console/creatives/tram-0"):
        html = person.open(page)
        assert "/status" not in "".join(Fields(html).forms)
        assert "new-campaign" not in html
        assert '/edit"' not in html
    for page in ("/console/new-campaign", "/console/campaigns/loans/edit", "/console/new-creative"):
        assert person.http.get(page).status_code == 403


def test_straight_to_live_is_offered_to_who_may_approve(careful: Town, town: Town) -> None:
    ways = {("do", "draft"), ("do", "review")}
    page = "/console/new-campaign"
    assert set(Fields(Person(careful, "manager").open(page)).buttons[page]) == ways
    assert ("do", "active") in Fields(Person(careful).open(page)).buttons[page]
    assert ("do", "active") in Fields(Person(town, "manager").open(page)).buttons[page]
    forced = Person(careful, "manager").send(page, campaign_typed("forced", do="active"))
    assert forced.status_code == 409
    assert "forced" not in careful.platform.memory.catalogue.campaigns


@pytest.mark.parametrize(
    "path",
    [
        "/console/campaigns/none/edit", "/console/creatives/none", "/console/creatives/none/edit",
        "/console/new-creative?way=poster",
    ],
)  # fmt: skip
def test_what_is_not_there_is_told(town: Town, path: str) -> None:
    assert Person(town).http.get(path).status_code in (404, 422)


def test_steps_that_cannot_be_are_told_on_the_page(town: Town) -> None:
    person = Person(town)
    token = town.platform.sign_in.csrf_token(person.http.cookies["rw_session"])
    for typed in ({"status": "draft"}, {"status": "nonsense"}):
        answer = person.http.post(
            "/console/campaigns/loans/status", data={**typed, "csrf": token, "key": f"k{typed}"}
        )
        assert answer.status_code in (409, 422)
    assert town.platform.memory.catalogue.campaigns["loans"].status == "active"


def test_ids_in_pages_lead_to_pages(town: Town) -> None:
    """The trace, the campaign and the creative name each other."""
    person = Person(town)
    assert "/console/creatives/hp-autumn-26-0" in person.open("/console/campaigns/hp-autumn-26")
    assert "/console/campaigns/tram" in person.open("/console/creatives/tram-0")
    assert person.http.get(f"/console/requests/{format_id(town.request_ids[1])}").status_code == 200


def test_a_campaign_without_conversions_says_how_they_come(town: Town) -> None:
    person = Person(town)
    assert "No conversion yet" in person.open("/console/campaigns/loans/conversions")
    assert person.http.get("/console/campaigns/none/conversions").status_code == 404
    assert person.http.get("/console/campaigns/loans/conversions?before=x").status_code == 422
