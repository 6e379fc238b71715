"""The proof of consent: it holds here, each planted leak is found, and it can fail."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from random import Random

import msgspec
import pytest

from ringwork.ads.events import AuctionCleared
from ringwork.app.call import call
from ringwork.app.erasure import envelopes
from ringwork.app.proof import leaky_code, prove, static
from ringwork.app.proof.cases import WAYS, Cases
from ringwork.app.proof.grants import attempts
from ringwork.app.proof.leaks import LEAKS, WALLS
from ringwork.app.proof.pairs import OTHERS_EVERY, Found, distance, worlds
from ringwork.app.proof.sightings import Sightings, forms_of
from ringwork.app.proof.timing import sign_flip_test
from ringwork.app.proof.town import STATUSES, Town
from ringwork.app.settings import Settings
from ringwork.cli.main import run
from ringwork.fairness.delivery.events import (
    PersonClustered,
    SpecialAdsCompeted,
    SpecialAdShown,
    SpecialAdSold,
)
from ringwork.kernel.purpose import GrantVerifier


@asynccontextmanager
async def small_worlds(folder, *, seed=3, plant=None):
    town = Town(people=len(STATUSES) * 2, seed=seed)
    sightings = Sightings(town.canaries)
    async with worlds(folder, town, seed=seed, sightings=sightings, plant=plant) as both:
        yield both, sightings


# ---- worlds as they are -------------------------------------------------------------------------


def test_nothing_of_a_past_shows_without_consent_and_it_shows_with_it(tmp_path):
    async def scene() -> None:
        async with small_worlds(tmp_path) as (both, sightings):
            with sightings.listening():
                await both.run(300)
                found = both.found
                await both.control(12)
        assert (found.pairs, found.differing_pairs, found.differing_bytes) == (300, 0, 0)
        assert (found.columns_read, found.columns_denied) == (0, 0)
        assert found.controls_differing == found.controls == 12
        assert found.tiers["consented"] == 300 // OTHERS_EVERY
        assert sum(found.tiers.values()) == 300 + 300 // OTHERS_EVERY
        assert {one.name for one in WAYS} <= found.cases.keys() | {"player"}
        assert {"another-id", "a-name-or-none", "profile", "player"} <= found.cases.keys()
        assert 0 < found.sold < 330, "some places stay empty"
        for world in both.pair:
            assert_special_ads_were_sold_steered_and_shown(world.platform)
        sightings.search(tmp_path, both.town)
        assert not sightings.seen

    asyncio.run(scene())


def assert_special_ads_were_sold_steered_and_shown(platform) -> None:
    """Of people who allow measurement, without consent to anything more, and of others."""
    seen = [platform.types.decode(one) for one, _ in envelopes(platform.log.rows(0))]
    sold = [one for one in seen if isinstance(one, SpecialAdSold)]
    shown = [one for one in seen if isinstance(one, SpecialAdShown)]
    cleared = [one for one in seen if isinstance(one, AuctionCleared)]
    assert {one.ad for one in sold} == {one.ad for one in shown} == {"flat.a", "job.a"}
    assert any(one.measurable and one.tier == "less-personalised" for one in cleared)
    assert not all(one.measurable for one in cleared)
    contests = [one for it in seen if isinstance(it, SpecialAdsCompeted) for one in it.contests]
    assert len({one.shift_nanos for one in contests}) > 20, "in every cluster another one"
    assert any(isinstance(one, PersonClustered) for one in seen)
    # Where an impression was sold is known of everybody: the contest that was won says it.
    assert len(shown) > len(
        {one.impression_id for one in shown} & {one.impression_id for one in sold}
    )
    assert all(one.cluster >= 0 for one in shown)


def test_ids_do_not_tell_who_is_measured_and_would_if_they_were_drawn(tmp_path):
    """The same requests of somebody and of nobody: what comes after them has the same ids."""

    async def after(folder, plant) -> tuple[bytes, bytes]:
        async with small_worlds(folder, plant=plant) as (both, _):
            for world, person in zip(both.pair, (both.town.others[0].id, None), strict=True):
                for _ in range(20):
                    await asked_for(world, person)
            return tuple(world.platform.journal.ids.new() for world in both.pair)

    drawn = next(one for one in LEAKS if one.name == "ids drawn for who is measured")
    one, other = asyncio.run(after(tmp_path / "honest", None))
    assert one == other
    one, other = asyncio.run(after(tmp_path / "leaky", drawn.plant))
    assert one != other


async def asked_for(world, person: str | None) -> None:
    body = {"placement": "top", "signals": {"gpc": 1}} | ({"person": person} if person else {})
    answer = await world.ask(
        "POST",
        "/v1/ads/request",
        msgspec.json.encode(body),
        headers=[(b"content-type", b"application/json"), (b"host", b"localhost")],
        client="127.0.0.1",
    )
    assert answer.status == 200


def test_the_same_seed_asks_the_same_of_everybody():
    def first(seed: int) -> list[object]:
        stream = iter(Cases(Town(people=22, seed=seed), seed=seed))
        return [next(stream) for _ in range(200)]

    assert first(5) == first(5)
    assert first(5) != first(6)


def test_couples_did_different_things_and_one_of_them_little():
    town = Town(people=44, seed=9)
    for one in town.people[::2]:
        busy, idle = town.pasts[one.number], town.pasts[one.number ^ 1]
        assert len(busy) > len(idle)
        assert not {deed.topic for deed in busy} & {deed.topic for deed in idle}


# ---- planted leaks ------------------------------------------------------------------------------


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.name)
def test_a_planted_leak_is_found_by_every_wall_that_should(leak):
    planted = asyncio.run(prove.plant(leak, seed=11))
    assert planted.slipped == []


@pytest.mark.parametrize("name", leaky_code.LEAKY_TEXTS)
def test_a_leak_in_the_source_is_found(name):
    text, expected = leaky_code.LEAKY_TEXTS[name]
    leaky = leaky_code.with_text(static.installed(), text)
    found = {
        wall
        for wall, findings in (
            ("static", static.static_findings(leaky)),
            ("types", static.type_findings(leaky)),
        )
        if findings
    }
    assert expected <= found


@pytest.mark.parametrize("name", leaky_code.leaky_members())
def test_an_ask_that_could_hold_a_person_is_found(name):
    assert static.type_findings({}, leaky_code.leaky_members()[name])


def test_grants_that_do_not_hold_are_refused_and_would_open_without_the_check(tmp_path):
    async def scene() -> None:
        async with small_worlds(tmp_path) as (both, _):
            world, town = both.pair[0], both.town
            tried = await attempts(world, town)
            assert [one.name for one in tried if not one.caught] == []
            assert {one.wall for one in tried} == {"capability", "credentials"}
        other = tmp_path / "other"
        async with small_worlds(other, plant=_believe_all) as (both, _):
            tried = await attempts(both.pair[0], both.town)
            opened = {one.name for one in tried if one.came == ""}
            assert "a grant made out to somebody else" in opened
            assert "a grant used for another request" in opened
            assert not [one for one in tried if one.wall == "credentials" and not one.caught]

    asyncio.run(scene())


class _Believing(GrantVerifier):
    def verify(self, grant, *, purpose, service, request_id) -> None:
        """Every grant holds."""


def _believe_all(world) -> None:
    world.platform.history._verifier = _Believing()


# ---- the means ----------------------------------------------------------------------------------


def test_bytes_that_differ_are_counted_by_hand():
    assert distance(b"abcd", b"abcd") == 0
    assert distance(b"abcd", b"aXcY") == 2
    assert distance(b"abcd", b"ab") == 2
    found = Found()
    assert not found.differ(1, "gpc", "answer", b"x", b"x")
    assert found.differ(1, "gpc", "answer", b"xy", b"xz")
    assert found.differing_bytes == 1


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("behind", range(4))
def test_a_canary_is_seen_in_base64_at_every_alignment(before, behind):
    coded = base64.b64encode(b"\xff" * before + b"k9canary" + b"\xfe" * behind)
    assert any(form in coded for form in forms_of("k9canary"))
    assert not any(form in base64.b64encode(b"\xff" * 30) for form in forms_of("k9canary"))


def test_a_canary_across_two_chunks_is_seen(tmp_path, monkeypatch):
    town = Town(people=22, seed=1)
    sightings = Sightings(town.canaries)
    monkeypatch.setattr("ringwork.app.proof.sightings.CHUNK_BYTES", 16)
    (tmp_path / "a").write_bytes(b"." * 10 + town.canaries.topic(1).encode() + b"." * 50)
    (tmp_path / "history.db").write_bytes(b"." * 10 + town.canaries.topic(1).encode())
    (tmp_path / "history.db-wal").write_bytes(town.canaries.person(1).encode())
    sightings.search(tmp_path, town)
    assert dict(sightings.seen) == {"file a": 1, "file history.db-wal": 1}


def test_what_is_as_often_faster_as_slower_is_not_rejected_and_a_shift_is():
    even = [(-1) ** number * (number % 97) for number in range(1000)]
    assert sign_flip_test(even, seed=1)[0] > 0.5
    shifted = [one + 20 for one in even]
    assert sign_flip_test(shifted, seed=1)[0] == 0.0001
    one_stall = [*even, 10**9, 10**9]
    assert sign_flip_test(one_stall, seed=1)[0] > 0.05, "a busy moment is no finding"


def test_false_alarms_are_as_rare_as_the_level_says():
    """Under the hypothesis p is uniform: 200 samples, of which about 20 are below a tenth."""
    random = Random("false alarms")
    low = sum(
        sign_flip_test([random.choice((-1, 1)) * random.randrange(1, 10**6) for _ in range(60)],
                       seed=number)[0] < 0.1
        for number in range(200)
    )  # fmt: skip
    assert 8 <= low <= 34, low  # 20 +- 3.3 standard deviations


# ---- the whole, and the command -----------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch):
    """The same, with fewer samples of time and two leaks."""
    monkeypatch.setattr(prove, "PEOPLE", 44)
    monkeypatch.setattr(prove, "TIMED_PAIRS", 200)
    monkeypatch.setattr(prove, "LEAKS", LEAKS[3:5])


def test_a_leak_that_slips_is_said_and_exits_with_1(quick, monkeypatch, capsys, tmp_path):
    honest = LEAKS[3]
    blind = msgspec.structs.replace(honest, name="not a leak at all", plant=lambda world: None)
    monkeypatch.setattr(prove, "LEAKS", (blind,))
    out = tmp_path / "proof.json"
    assert run(["consent", "prove", "--pairs", "20", "--out", str(out)]) == 1
    told = capsys.readouterr().out
    assert "MISSED" in told
    assert "DOES NOT HOLD: 0 bytes differ in 20 pairs" in told
    kept = msgspec.json.decode(out.read_bytes(), type=prove.Proof)
    assert not kept.holds
    assert [one.name for one in kept.leaks if one.slipped] == ["not a leak at all"]


def test_a_proof_that_holds_exits_with_0_and_is_recorded(quick, capsys, tmp_path):
    data = tmp_path / "data"
    argv = ["consent", "prove", "--pairs", "20", "--record", "--data", str(data), "--json"]
    assert run(argv) == 0
    proof = msgspec.json.decode(capsys.readouterr().out, type=prove.Proof)
    assert proof.holds
    assert [one.wall for one in proof.checks] == list(WALLS)
    assert proof.caught == proof.planted == len(proof.leaks) > 30
    assert (proof.pairs, proof.differing_bytes, proof.history_reads) == (20, 0, 0)
    kept = call(Settings(data=str(data)), "GET", "/v1/consent-proof-runs").json["runs"]
    assert [one["run"]["pairs"] for one in kept] == [20]
    assert kept[0]["run"] == msgspec.to_builtins(prove.run_of(proof))
    assert kept[0]["actor"] == "local"


@pytest.mark.parametrize("pairs", ["0", "-1", "99999999999"])
def test_a_number_of_pairs_that_is_none_is_refused(pairs, capsys):
    assert run(["consent", "prove", "--pairs", pairs]) == 2
    assert "expected 1 to" in capsys.readouterr().err
