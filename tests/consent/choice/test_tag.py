"""The consent tag on a publisher's page: asks, keeps what it may, answers __tcfapi and __gpp."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from ringwork.app.call import call
from ringwork.consent import gpp, tcf
from tests.consent.choice.house import CMP, FLAGS, PERSON, House

ASK = "[data-ringwork-ask] iframe"
MINE = "[data-ringwork-mine] iframe"
FOREIGN = """<script>
  window.__tcfapi = (command, version, callback) =>
    callback({gdprApplies: true, tcString: "FOREIGN", eventStatus: "tcloaded"}, true);
</script>"""
FRAME = """<!doctype html><title>Vendor</title><script>
  const asked = (name, call) => new Promise((resolve) => {
    addEventListener("message", ({data}) => {
      const answer = data[name + "Return"];
      if (answer && answer.callId === call.callId) resolve(answer);
    });
    let at = window;
    while (!at.frames[name + "Locator"]) at = at.parent;
    at.postMessage({[name + "Call"]: call}, "*");
  });
</script>"""


@pytest.fixture(scope="module")
def cmp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A publisher whose ad server is a registered CMP."""
    house = House(tmp_path_factory.mktemp("cmp") / "h", CMP)
    with house.open():
        yield house


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One without a CMP id."""
    house = House(tmp_path_factory.mktemp("plain") / "h")
    with house.open():
        yield house


@pytest.fixture(scope="module")
def browser(chromium: str, cmp: House, plain: House) -> Iterator[Browser]:
    # After the houses: while Playwright runs, no other loop can be run in this thread.
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def kept(page: Page) -> dict:
    """Everything that the page has on the device."""
    assert page.context.cookies() == []
    found = page.evaluate("({...localStorage, ...sessionStorage})")
    return {key: json.loads(value) for key, value in found.items()}


def choose(page: Page, frame: str, button: str) -> None:
    page.frame_locator(frame).get_by_role("button", name=button).click()
    expect(page.frame_locator(frame).get_by_role("status")).to_be_visible()


def reload(page: Page) -> dict:
    """Come again; what the ad request said."""
    with page.expect_request("**/v1/ads/request") as asked:
        page.reload()
    return asked.value.post_data_json


def tell(page: Page, command: str) -> dict:
    return page.evaluate(
        "(command) => new Promise((done) => __tcfapi(command, 2, (data) => done(data)))", command
    )


def test_until_somebody_chooses_nothing_is_kept(plain: House, page: Page):
    with page.expect_request("**/v1/ads/request") as asked:
        page.goto(plain.write("first.html"))
    expect(page.frame_locator(ASK).get_by_role("heading", level=1)).to_be_visible()
    assert "signals" not in asked.value.post_data_json
    assert kept(page) == {}
    assert page.locator(MINE).count() == 0
    assert page.evaluate("ringworkConsent.choice") == "undecided"


def test_a_refusal_leaves_the_choice_and_no_number(plain: House, page: Page):
    page.goto(plain.write("refused.html"))
    choose(page, ASK, "Use less personalised ads")
    page.wait_for_function("ringworkConsent.choice === 'less'")
    assert kept(page)["ringwork-choice"].keys() == {"choice", "until_ms"}
    reload(page)
    mine = page.frame_locator(MINE)
    expect(mine.get_by_text("You see less personalised ads.")).to_be_visible()
    expect(mine.get_by_text("no record can be traced to it")).to_be_visible()
    assert page.locator(ASK).count() == 0  # not asked again
    assert list(kept(page)) == ["ringwork-choice"]


def test_with_consent_a_number_and_the_visit_are_kept_until_it_is_withdrawn(
    plain: House, page: Page
):
    page.goto(plain.write("allowed.html"))
    choose(page, ASK, "Allow personalised ads")
    page.wait_for_function("ringworkConsent.choice === 'personalised'")
    person = kept(page)["ringwork-choice"]["person"]
    assert person.startswith("r.")
    reload(page)
    page.wait_for_function("sessionStorage.length === 1")
    choose(page, MINE, "Use less personalised ads")  # one step, on the page itself
    page.wait_for_function("ringworkConsent.choice === 'less'")
    assert kept(page).keys() == {"ringwork-choice"}
    assert "person" not in kept(page)["ringwork-choice"]
    actions = [one["payload"]["action"] for one in plain.events("consent_recorded")]
    assert actions[-2:] == ["grant", "withdraw"]
    steps = [one["payload"]["steps"] for one in plain.events("consent_recorded")]
    assert set(steps) == {1}


def asked_after(page: Page, act: Callable[[], object]) -> tuple[dict, dict]:
    """What the next ad request says, and what it is answered."""
    with page.expect_response("**/v1/ads/request") as answered:
        act()
    return answered.value.request.post_data_json, answered.value.json()


def open_page(page: Page, url: str) -> tuple[dict, dict]:
    return asked_after(page, lambda: page.goto(url))


def test_who_changes_their_mind_is_obeyed_by_the_next_request_of_the_same_page(
    plain: House, page: Page
):
    asked, answer = open_page(page, plain.write("mind.html"))
    assert not asked.keys() & {"person", "link"}  # undecided: named to nobody
    assert answer["tier"] == "less-personalised"
    seen = [asked["visit"]]

    asked, answer = asked_after(page, lambda: choose(page, ASK, "Allow personalised ads"))
    assert asked["person"] == kept(page)["ringwork-choice"]["person"]
    assert answer["tier"] == "consented"
    place = page.locator("[data-ringwork-placement]")
    expect(place).to_have_attribute("data-ringwork-tier", "consented")
    seen.append(asked["visit"])

    # Without a reload the frame has become one's own page: one step, and the next request obeys.
    asked, answer = asked_after(page, lambda: choose(page, ASK, "Use less personalised ads"))
    assert not asked.keys() & {"person", "link"}
    assert answer["tier"] == "less-personalised"
    expect(place).to_have_attribute("data-ringwork-tier", "less-personalised")
    seen.append(asked["visit"])
    assert len(set(seen)) == 3  # no visit reaches across a choice


@pytest.mark.parametrize("choice", ["Use less personalised ads", "Allow personalised ads"])
def test_a_named_person_is_named_in_ad_requests_with_consent_alone(
    plain: House, page: Page, choice: str
):
    person = PERSON + choice[0]
    named = f'data-ringwork-person="{person}"'
    open_page(page, plain.write(f"named-{choice[0]}.html", attributes=named))
    asked, _ = asked_after(page, lambda: choose(page, ASK, choice))
    allowed = choice.startswith("Allow")
    assert (asked.get("person") == person) == allowed
    again = reload(page)
    assert (again.get("person") == person) == allowed
    assert "ringwork-choice" not in kept(page)  # the server knows, and others use this device too


def test_a_person_of_the_publishers_own_id_is_named_by_the_link(plain: House, page: Page):
    visit = {"publisher": "casa", "person": "customer-17"}
    link = call(plain.settings, "POST", "/v1/choice/links", visit).json["link"]
    open_page(page, plain.write("link.html", attributes=f'data-ringwork-link="{link}"'))
    asked, answer = asked_after(page, lambda: choose(page, ASK, "Allow personalised ads"))
    assert (asked["link"], "person" in asked) == (link, False)
    assert answer["tier"] == "consented"


def test_a_page_that_learns_late_where_its_person_stands_asks_once(plain: House, page: Page):
    """What the state changes before the first request changes that request, and makes no other."""
    person = f'data-ringwork-person="{PERSON}late"'
    open_page(page, plain.write("late.html", attributes=person))
    choose(page, ASK, "Allow personalised ads")
    asked: list[dict] = []
    page.on(
        "request",
        lambda one: "/v1/ads/request" in one.url and asked.append(one.post_data_json),
    )
    page.reload()
    expect(page.locator("[data-ringwork-tier=consented]")).to_have_count(1)
    assert [one["person"] for one in asked] == [f"{PERSON}late"]


def test_a_withdrawal_elsewhere_is_learnt_at_the_next_page(plain: House, page: Page):
    page.goto(plain.write("elsewhere.html"))
    choose(page, ASK, "Allow personalised ads")
    page.wait_for_function("ringworkConsent.choice === 'personalised'")
    person = kept(page)["ringwork-choice"]["person"]
    own = page.context.browser.new_page()
    own.goto(f"{plain.server.url}/choice/mine?publisher=casa&locale=en&person={person}")
    own.get_by_role("button", name="Use less personalised ads").click()
    expect(own.get_by_role("status")).to_be_visible()
    own.close()
    reload(page)
    page.wait_for_function("ringworkConsent.choice === 'less'")
    assert "person" not in kept(page)["ringwork-choice"]


def test_a_person_whom_the_publisher_names_is_asked_once(plain: House, page: Page):
    page.goto(plain.write("named.html", attributes=f'data-ringwork-person="{PERSON}"', lang="de"))
    choose(page, ASK, "Weniger personalisierte Werbung nehmen")
    page.evaluate("localStorage.clear()")  # another device
    reload(page)
    mine = page.frame_locator(MINE)
    expect(
        mine.get_by_text("personalisierte Werbung, Messung von Werbung: abgelehnt")
    ).to_be_visible()
    assert page.locator(ASK).count() == 0


def test_without_a_cmp_id_no_api_and_no_string_is_there(plain: House, page: Page):
    page.goto(plain.write("none.html"))
    choose(page, ASK, "Allow personalised ads")
    assert page.evaluate("[typeof __tcfapi, typeof __gpp]") == ["undefined", "undefined"]
    assert "signals" not in reload(page)


def test_tcfapi_and_gpp_are_answered_at_each_step(cmp: House, page: Page):
    page.goto(cmp.write("cmp.html", head=""))
    page.wait_for_function("typeof ringworkIab === 'function'")
    expect(page.frame_locator(ASK).get_by_role("heading", level=1)).to_be_visible()
    ping = tell(page, "ping")
    assert (ping["cmpId"], ping["cmpLoaded"], ping["displayStatus"]) == (300, True, "visible")
    page.evaluate(
        """() => {
          window.heard = [];
          __tcfapi("addEventListener", 2, (data) => heard.push([data.eventStatus, data.tcString]));
          __gpp("addEventListener", (event) => heard.push([event.eventName, event.data]));
        }"""
    )
    choose(page, ASK, "Allow personalised ads")
    page.wait_for_function(
        "heard.some(([name, value]) => name === 'signalStatus' && value === 'ready')"
    )
    heard = page.evaluate("heard")
    assert heard[0][0] == "cmpuishown"
    completed = [text for name, text in heard if name == "useractioncomplete"]
    said = tcf.decode(completed[-1])
    assert said.purpose_consents == (1, 2, 3, 4, 7)
    assert 755 in said.vendor_consents
    assert 755 in said.vendors_disclosed
    data = tell(page, "getTCData")
    assert data["purpose"]["consents"]["4"] is True
    assert data["vendor"]["consents"]["755"] is True
    pinged = page.evaluate("new Promise((done) => __gpp('ping', done))")
    assert (pinged["signalStatus"], pinged["applicableSections"]) == ("ready", [2])
    inside = gpp.decode(pinged["gppString"]).sections["tcfeuv2"]
    assert inside.purpose_consents == said.purpose_consents

    signals = reload(page)["signals"]
    assert signals == {
        "gdpr": 1, "tc": completed[-1], "gpp": pinged["gppString"], "gpp_sid": [2],
    }  # fmt: skip
    choose(page, MINE, "Use less personalised ads")
    refused = tcf.decode(reload(page)["signals"]["tc"])
    assert refused.purpose_consents == ()
    assert refused.purpose_legitimate_interests == (2,)
    assert not refused.vendor_consents
    answered = cmp.events("auction_cleared")
    assert len(answered) >= 3, "the requests with signals were served, not refused"


def test_a_vendor_in_a_frame_asks_by_message(cmp: House, page: Page):
    (cmp.pages / "vendor.html").write_text(FRAME)
    vendor = f'<iframe name="vendor" src="{cmp.origin.replace("localhost", "127.0.0.1")}/vendor.html"></iframe>'
    page.goto(cmp.write("framed.html", head=vendor))
    page.wait_for_function("typeof ringworkIab === 'function'")
    expect(page.frame_locator(ASK).get_by_role("heading", level=1)).to_be_visible()
    frame = page.frame("vendor")
    ping = frame.evaluate("asked('__tcfapi', {command: 'ping', version: 2, callId: 'a'})")
    assert (ping["success"], ping["returnValue"]["cmpId"]) == (True, 300)
    ping = frame.evaluate("asked('__gpp', {command: 'ping', version: '1.1', callId: 'b'})")
    assert (ping["success"], ping["returnValue"]["cmpStatus"]) == (True, "loaded")


def test_another_platform_on_the_page_is_read_and_left_alone(cmp: House, page: Page):
    with page.expect_request("**/v1/ads/request") as asked:
        page.goto(cmp.write("other.html", head=FOREIGN))
    assert asked.value.post_data_json["signals"] == {"gdpr": 1, "tc": "FOREIGN"}
    assert tell(page, "getTCData")["tcString"] == "FOREIGN"


def test_messages_of_others_change_nothing(plain: House, page: Page):
    page.goto(plain.write("forged.html"))
    expect(page.frame_locator(ASK).get_by_role("heading", level=1)).to_be_visible()
    page.evaluate(
        """() => postMessage({ringwork: {stands: {choice: "personalised", until_ms: -1}}}, "*")"""
    )
    page.evaluate("new Promise((done) => setTimeout(done))")
    assert page.evaluate("ringworkConsent.choice") == "undecided"
    assert kept(page) == {}


def test_a_server_that_is_down_does_not_break_the_page(plain: House, page: Page):
    page.route("**/choice/**", lambda route: route.abort())
    page.goto(plain.write("down.html", attributes=f'data-ringwork-person="{PERSON}x"'))
    expect(page.get_by_text("Lime, sand, water.")).to_be_visible()
    assert page.evaluate("ringworkConsent.ready.then((one) => one.choice)") == "undecided"
