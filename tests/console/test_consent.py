"""Consent by the console: people's ledgers with their proof, and the overview of all decisions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

import httpx
import pytest
from msgspec.structs import replace

from ringwork.ads.projections import TierCounts
from ringwork.consent.model import Join
from ringwork.consent.proof import ProofBroken, check_proof, decode_proof
from ringwork.consent.proof_runs import WallStands
from ringwork.consent.requests import NewConsent
from ringwork.consent.subscriptions.events import (
    PlanDefined,
    SubscriptionChargeRequested,
    SubscriptionRequested,
    SubscriptionStarted,
)
from ringwork.consent.subscriptions.model import Plan
from ringwork.console.format import MISSING
from ringwork.console.logged import latest
from ringwork.console.views.consent import Consent, consent
from ringwork.kernel.journal import Command
from ringwork.kernel.purpose import Grant
from tests.console.people import CONSENT
from tests.console.test_forms import Fields, Person
from tests.console.town import Town

DAY_US = 86_400_000_000
ANA, BOB, CY = (f"r.{name}0123456789abcdefABCDEF" for name in ("ana", "bob", "cy"))
DORA = "dora@example.org"
NOTICE = "a" * 64


class Street:
    """The town's choice page, as its people meet it."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self._http = httpx.Client(
            base_url=town.url,
            headers={"accept": "text/html"},
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def meet(self, person: str, choice: str, page: str = "") -> None:
        """Open the choice page and press a button; no choice leaves it at looking."""
        asked = {"publisher": "casa", "person": person, "locale": "en"}
        shown = self._http.get(f"/choice{page}", params=asked)
        assert shown.status_code == 200, shown.text
        if choice:
            found = re.search(r'name="ticket" value="([^"]+)"', shown.text)
            assert found, shown.text
            typed = {"ticket": unescape(found[1]), "choice": choice}
            done = self._http.post("/choice", data=typed)
            assert done.status_code in (200, 303), done.text

    def say(self, **said: object) -> None:
        """What a site's own settings page sends."""
        wanted = NewConsent(**{"surface": "settings", **said})  # type: ignore[arg-type]  # by name
        self._town.do(
            self._town.decide(
                lambda command: self._town.platform.consent.consents.record(command, wanted, "k1")
            )
        )


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Two days: Ana consents and takes it back, Bob refuses, Cy only looks, Dora joins services."""
    with Town(tmp_path_factory.mktemp("town") / "data").serving() as running:
        street = Street(running)
        street.meet(ANA, "personalised")
        street.meet(BOB, "less")
        street.meet(CY, "")
        running.clock.advance_us(DAY_US)
        street.meet(ANA, "withdraw-advertise", "/mine")
        for action in ("grant", "object"):
            street.say(
                person=DORA, action=action, purposes=("advertise",), notice=NOTICE, steps=2,
                services=(Join("shop", "main"),) if action == "grant" else (), locale="pt-PT",
                notice_version="2026-03",
            )  # fmt: skip
        running.do(running.decide(lambda command: _subscribe(running, command)))
        running.do(_deny(running))
        running.do(running.caught_up())
        yield running


def _subscribe(town: Town, command: Command) -> None:
    subject, now_us = pseudonym(town, BOB), town.clock.wall_us()
    ends_us = now_us + 30 * DAY_US
    command.record(PlanDefined(Plan(id="quiet", name="Quiet"), "t"))
    for event in (
        SubscriptionRequested("s", "quiet", "DE", "web", "EUR", "UTC", False, 7, b"sealed", "t"),
        SubscriptionChargeRequested(
            "ch", "s", "period", 1, 1, now_us, ends_us, "p", 5_990_000_000, 0, 0, 5_990_000_000,
            "EUR",
        ),
        SubscriptionStarted("s", "ch", now_us, ends_us),
    ):  # fmt: skip
        command.record(event, subject=subject)


async def _deny(town: Town) -> None:
    grant = Grant(pseudonym(town, ANA), ("advertise",), ("main",), 1, 1, bytes(16))
    for reason in ("ended", "ended", "tier"):
        town.platform.denied.note(grant, "advertise", town.platform.ids.new(), reason)
    town.platform.denied.record(town.platform.journal, tenant="main")


def pseudonym(town: Town, person: str) -> bytes:
    return town.platform.consent.consents.subject_of(person)


def page_of(town: Town, person: str) -> str:
    return f"/console/people/{pseudonym(town, person).hex()}"


def data(visitor: Person, address: str) -> dict:
    joined = "&" if "?" in address else "?"
    answer = visitor.http.get(f"{address}{joined}format=json")
    assert answer.status_code == 200, answer.text
    found: dict = answer.json()["data"]
    return found


def look_up(visitor: Person, person: str) -> httpx.Response:
    return visitor.send(
        "/console/people", {"person": person}, page=visitor.open("/console/consent")
    )


# ---- one person ---------------------------------------------------------------------------------


def test_a_person_is_looked_up_by_id_and_shown_by_pseudonym(town: Town) -> None:
    auditor = Person(town, "auditor")
    answer = look_up(auditor, f" {DORA} ")
    assert answer.status_code == 303
    assert answer.headers["location"] == page_of(town, DORA)
    page = auditor.open(answer.headers["location"])
    assert pseudonym(town, DORA).hex() in page
    assert "dora" not in page.casefold()


def test_every_decision_is_there_in_order_with_what_was_shown(town: Town) -> None:
    body = data(Person(town, "auditor"), page_of(town, ANA))
    assert [row["action"] for row in body["records"]] == ["granted", "withdrew"]
    first, second = body["records"]
    assert first["how"] == "choice-page, 1 step, asked"
    assert second["how"] == "choice-mine, 2 steps, by themselves"
    assert first["terms"] == "consent, en"
    assert first["notice_id"] in {one["id"] for one in body["notices"]}
    [text] = [one for one in body["notices"] if one["sha256"] == first["notice"]]
    assert "Diário da Casa" in text["text"]
    assert second["prev_hash"] == first["hash"] == body["records"][0]["hash"]
    dora = data(Person(town, "auditor"), page_of(town, DORA))["records"]
    assert [(row["action"], row["joins"], row["notice_id"]) for row in dora] == [
        ("granted", "shop to main", ""), ("objected", "", ""),
    ]  # fmt: skip


def test_what_holds_is_said_with_why_and_until_when(town: Town) -> None:
    auditor = Person(town, "auditor")
    ana = {row["purpose"]: row for row in data(auditor, page_of(town, ANA))["purposes"]}
    assert (ana["advertise"]["status"], ana["advertise"]["number"]) == ("withdrawn", 2)
    # Withdrawn on 27 November 2026; not asked for 365 days.
    assert ana["advertise"]["ask"].startswith("not before 2027-11-27 16:20:04")
    assert (ana["measure"]["status"], ana["measure"]["number"]) == ("granted", 1)
    assert ana["measure"]["until"] == "26 December 2027"  # 395 days after 26 November 2026
    assert (ana["converse"]["status"], ana["converse"]["ask"]) == (
        "undecided", "yes: never decided",
    )  # fmt: skip
    dora = data(auditor, page_of(town, DORA))["purposes"][0]
    assert (dora["status"], dora["ask"], dora["joins"]) == ("objected", "never: objected", MISSING)


def test_chain_days_and_signatures_are_checked_for_the_page(town: Town) -> None:
    body = data(Person(town, "auditor"), page_of(town, ANA))
    assert (body["chain_tag"], body["chain_word"]) == ("good", "holds, link by link")
    assert [(day["day"], day["tag"], day["records"]) for day in body["days"]] == [
        ("26 November 2026", "good", 2), ("27 November 2026", "open", 3),
    ]  # fmt: skip
    assert all(len(day["signature"]) == 128 for day in body["days"])


def test_a_changed_table_is_told_with_the_record_where_it_breaks(town: Town) -> None:
    """As somebody with the database open would change it."""
    engine, subject = town.platform.state.writer, pseudonym(town, ANA)
    where = "WHERE subject = ? AND number = 1"
    with engine.begin() as connection:
        query = f"SELECT digest FROM consent_records {where}"  # a constant
        before = connection.exec_driver_sql(query, (subject,)).scalar_one()
        change = f"UPDATE consent_records SET digest = ? {where}"
        connection.exec_driver_sql(change, (bytes(32), subject))
    try:
        auditor = Person(town, "auditor")
        body = data(auditor, page_of(town, ANA))
        assert (body["chain_tag"], body["chain_word"]) == ("bad", "breaks at record 1")
        assert 'role="alert"' in auditor.open(page_of(town, ANA))
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(change, (before, subject))
    assert data(Person(town, "auditor"), page_of(town, ANA))["chain_tag"] == "good"


def test_receipts_and_proofs_are_saved_and_hold_elsewhere(town: Town) -> None:
    auditor = Person(town, "auditor")
    for row in data(auditor, page_of(town, ANA))["records"]:
        receipt = auditor.http.get(row["receipt_href"])
        assert "attachment" in receipt.headers["content-disposition"]
        assert receipt.headers["cache-control"] == "no-store"
        said = receipt.json()
        assert (said["number"], said["hash"]) == (row["number"], row["hash"])
        proof = decode_proof(auditor.http.get(row["proof_href"]).content)
        public_key = town.platform.consent.consents.public_key
        assert check_proof(proof, public_key).number == row["number"]
        with pytest.raises(ProofBroken):
            check_proof(proof, bytes(32))


@pytest.mark.parametrize("kind", ["receipts", "proofs"])
@pytest.mark.parametrize("number", ["0", "9", "-1", "x", "9" * 30, "9" * 5000])
def test_a_record_that_is_none_is_not_found(town: Town, kind: str, number: str) -> None:
    answer = Person(town, "auditor").http.get(f"{page_of(town, ANA)}/{kind}/{number}")
    assert answer.status_code == 404


@pytest.mark.parametrize("subject", ["x", "00", "0" * 31, "g" * 32, "A" * 32, " " * 32, "%00" * 16])
def test_what_is_no_pseudonym_is_not_found(town: Town, subject: str) -> None:
    assert Person(town).http.get(f"/console/people/{subject}").status_code == 404


def test_a_stranger_is_undecided(town: Town) -> None:
    visitor = Person(town, "auditor")
    page = visitor.open(page_of(town, "nobody"))
    assert "Nothing is recorded of this person" in page
    body = data(visitor, page_of(town, "nobody"))
    assert {row["status"] for row in body["purposes"]} == {"undecided"}


@pytest.mark.parametrize("typed", ["", " ", "a b", "x" * 129, "<b>", "a/b", "\u00e9"])
def test_what_is_no_id_is_said_beside_the_look_up(town: Town, typed: str) -> None:
    answer = look_up(Person(town, "auditor"), typed)
    assert answer.status_code == 422
    assert "Expected 1 to 128 letters" in answer.text
    assert not typed.strip() or typed not in Fields(answer.text).forms["/console/people"].values()


def test_decisions_are_leafed_through(town: Town) -> None:
    street = Street(town)
    for number in range(27):
        street.say(person="many", action="refuse", purposes=("measure",), steps=1 + number % 2)
    auditor, address = Person(town, "auditor"), page_of(town, "many")
    first = data(auditor, address)
    rest = data(auditor, first["next_href"])
    numbers = [row["number"] for row in first["records"] + rest["records"]]
    assert numbers == list(range(1, 28))
    assert (rest["next_href"], rest["first_href"], rest["chain_tag"]) == ("", address, "good")
    assert auditor.http.get(f"{address}?after=x").status_code == 422
    assert data(auditor, f"{address}?after=9999")["records"] == []


def test_the_subscription_is_shown_to_who_may_read_it(town: Town) -> None:
    [row] = data(Person(town, "auditor"), page_of(town, BOB))["subscriptions"]
    assert (row["state"], row["plan"], row["role"]) == ("active", "quiet", "subscriber")
    privacy = Person(town, "privacy")
    assert data(privacy, page_of(town, BOB))["subscriptions"] == []
    assert "subscriptions:read" in privacy.open(page_of(town, BOB))


# ---- saying no for a person ---------------------------------------------------------------------


def decide(
    visitor: Person, town: Town, shown: str, action: str, *, typed: str = "", **more: str
) -> httpx.Response:
    address = page_of(town, shown)
    fields = {"person": typed or shown, "action": action, **more}
    return visitor.send(f"{address}/decisions", fields, page=visitor.open(address))


def status_of(town: Town, person: str) -> dict[str, str]:
    rows = data(Person(town), page_of(town, person))["purposes"]
    return {row["purpose"]: row["status"] for row in rows}


def granted(town: Town, person: str) -> None:
    Street(town).say(
        person=person, action="grant", purposes=("advertise", "measure"), notice=NOTICE, asked=False
    )


def test_an_operator_withdraws_in_one_step_and_it_holds_at_once(town: Town) -> None:
    granted(town, "eve")
    privacy = Person(town, "privacy")
    assert decide(privacy, town, "eve", "withdraw", purpose="advertise").status_code == 303
    now_us = town.clock.wall_us()
    state = town.platform.memory.consent.state(pseudonym(town, "eve"), now_us)
    assert state.granted == {"measure"}
    answer = decide(privacy, town, "eve", "withdraw")
    page = privacy.open(answer.headers["location"])
    assert "The withdrawal is recorded" in page
    assert set(status_of(town, "eve").values()) == {"withdrawn"}
    row = data(privacy, page_of(town, "eve"))["records"][-1]
    assert row["how"] == "console, 1 step, by themselves"
    assert row["actor"] == "console"


def test_the_same_withdrawal_twice_is_one_record(town: Town) -> None:
    granted(town, "fay")
    privacy = Person(town, "privacy")
    for _ in range(2):
        assert decide(privacy, town, "fay", "withdraw", purpose="measure").status_code == 303
    assert data(privacy, page_of(town, "fay"))["record_count"] == 2
    address = page_of(town, "fay")
    page, typed = privacy.open(address), {"person": "fay", "action": "object"}
    for _ in range(2):
        privacy.send(f"{address}/decisions", typed, page=page)
    assert data(privacy, address)["record_count"] == 3


def test_an_erasure_ends_consents_and_keeps_every_no(town: Town) -> None:
    granted(town, "gil")
    Street(town).say(person="gil", action="object", purposes=("converse",))
    assert decide(Person(town, "privacy"), town, "gil", "erase").status_code == 303
    assert status_of(town, "gil") == {
        "advertise": "withdrawn", "measure": "withdrawn", "converse": "objected",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "more", "status"),
    [
        ("somebody-else", {}, 422),
        ("no id", {}, 422),
        ("hal", {"action": "grant"}, 422),
        ("hal", {"action": ""}, 422),
        ("hal", {"purpose": "everything"}, 422),
        ("hal", {"csrf": "0" * 64}, 403),
    ],
)
def test_what_does_not_fit_changes_nothing(
    town: Town, typed: str, more: dict[str, str], status: int
) -> None:
    granted(town, "hal")
    before = data(Person(town), page_of(town, "hal"))["record_count"]
    fields = {"action": "withdraw", **more}
    action = fields.pop("action")
    answer = decide(Person(town, "privacy"), town, "hal", action, typed=typed, **fields)
    assert answer.status_code == status
    assert "Traceback" not in answer.text
    assert data(Person(town), page_of(town, "hal"))["record_count"] == before


def test_the_log_of_the_server_never_names_a_person(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    granted(town, "ivy-whose-id-is-secret")
    privacy = Person(town, "privacy")
    look_up(privacy, "ivy-whose-id-is-secret")
    decide(privacy, town, "ivy-whose-id-is-secret", "withdraw")
    told = [r.getMessage() for r in caplog.records if not r.name.startswith(("http", "asyncio"))]
    assert not any("ivy" in one for one in told)
    kept = b"".join(row.payload for row in town.platform.log.rows(0))
    assert b"ivy-whose" not in kept


# ---- the overview -------------------------------------------------------------------------------


def test_the_overview_counts_what_people_decided(town: Town) -> None:
    """After the other tests the counts have grown: all that is asked is what the log says."""
    town.do(town.caught_up())
    body = data(Person(town, "auditor"), "/console/consent")
    recorded = [
        event for event in _events(town) if event.TYPE == "consent_recorded"
    ]  # every one is of these days
    names = ("grant", "refuse", "withdraw", "object", "erase", "declare")
    assert body["totals"] == [sum(one.action == name for one in recorded) for name in names]
    chosen = {row["words"]: row["people"] for row in body["choices"]}
    assert chosen == {
        "Consented to personalised ads": 1, "Refused them": 1, "Took a subscription": 0,
        "Have not chosen": 1,
    }  # fmt: skip
    assert [(row["reason"], row["count"]) for row in body["denied"]] == [("ended", 2), ("tier", 1)]
    assert body["subscriptions"] == [["active", "paid", 1]]


def _events(town: Town) -> list:
    journal = town.platform.journal
    return [one.payload for one in latest(journal.log, journal.types, 10**6)]


def test_steps_of_no_and_yes_are_compared(town: Town) -> None:
    body = data(Person(town, "auditor"), "/console/consent")
    recorded = [event for event in _events(town) if event.TYPE == "consent_recorded"]

    def mean(action: str) -> float:
        steps = [one.steps for one in recorded if one.action == action]
        return sum(steps) / len(steps)

    found = {row["name"]: row["ratio"] for row in body["measures"]}
    assert found["Refusing, steps"] == pytest.approx(mean("refuse") / mean("grant"))
    assert found["Withdrawing, steps"] == pytest.approx(mean("withdraw") / mean("grant"))


def test_the_last_sealed_day_was_checked(town: Town) -> None:
    seal = data(Person(town, "auditor"), "/console/consent")["seal"]
    assert (seal["day"], seal["records"], seal["tag"]) == ("26 November 2026", 2, "good")
    page = Person(town, "auditor").open("/console/consent")
    assert "sealed, signature holds" in page
    assert seal["root"] in page


def test_pages_of_consent_are_only_for_who_may_read_it(town: Town) -> None:
    for role in ("viewer", "manager", "reviewer", "finance"):
        visitor = Person(town, role)  # type: ignore[arg-type]  # a role
        assert "/console/consent" not in visitor.open("/console/")
        for address in ("/console/consent", page_of(town, ANA), f"{page_of(town, ANA)}/receipts/1"):
            assert visitor.http.get(address).status_code == 403, (role, address)
        assert visitor.http.post("/console/people", data={"person": ANA}).status_code == 403
    auditor = Person(town, "auditor")
    assert "Say no for the person" not in auditor.open(page_of(town, ANA))
    assert auditor.http.post(f"{page_of(town, ANA)}/decisions").status_code == 403


def test_a_form_from_elsewhere_looks_nobody_up(town: Town) -> None:
    auditor = Person(town, "auditor")
    answer = auditor.http.post("/console/people", data={"person": ANA, "csrf": "x"})
    assert answer.status_code == 403


# ---- tiers and proofs, from facts by hand ---------------------------------------------------------


def overview_of(**members: object) -> Consent:
    page = consent(replace(CONSENT, **members))
    assert isinstance(page.body, Consent)
    return page.body


def test_every_tier_is_shown_with_what_was_served() -> None:
    rows = {row.name: row for row in overview_of().tiers}
    assert list(rows) == ["Consented", "Less personalised", "General", "Subscriber"]
    assert [row.css for row in rows.values()] == ["full", "half", "", "none"]
    full, subscriber = rows["Consented"], rows["Subscriber"]
    # 182,440 of 433,214 requests; 147,906 of 182,440 slots; 24 s over 182,440.
    assert (full.percent, full.filled, full.eligible) == ("42.1", "81.1", "21.9")
    assert full.decided_ns == 131_550
    assert (subscriber.requests, subscriber.filled, subscriber.decided_ns) == (
        20_311,
        MISSING,
        None,
    )
    assert overview_of(tiers={}, ads_free_requests=0).tiers == []


def test_who_refused_is_held_against_who_consented() -> None:
    found = {one.name: one for one in overview_of().measures}
    filled, took = found["Slots filled, %"], found["Time of a decision, µs"]
    assert (filled.text, filled.verdict) == ("0.88", "alike")  # 71.2 of 81.1
    assert (took.text, took.tag) == ("0.88", "good")
    worse = {
        "consented": TierCounts(10, 10, 10, 10, 1_000),
        "less-personalised": TierCounts(10, 10, 5, 10, 2_000),
    }
    found = {one.name: one for one in overview_of(tiers=worse).measures}
    assert [found[name].verdict for name in ("Slots filled, %", "Time of a decision, µs")] == [
        "worse", "worse",
    ]  # fmt: skip
    assert "Slots filled, %" not in {
        one.name for one in overview_of(tiers={"consented": worse["consented"]}).measures
    }


def test_the_last_proof_says_what_it_tried_and_which_wall_broke() -> None:
    proof = overview_of().proof
    assert proof is not None
    assert proof.holds
    assert "100,000 pairs of worlds" in proof.summary
    assert "55 of 55 planted leaks caught" in proof.summary
    broken = replace(
        CONSENT.last_proof.run, holds=False, walls=[WallStands("pairs", False, "9 bytes")]
    )
    body = overview_of(last_proof=replace(CONSENT.last_proof, run=broken))
    assert (body.proof.holds, body.proof.walls[0].holds) == (False, False)
    assert overview_of(last_proof=None).proof is None
