"""Proof of work, solved by the library's own solver."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from altcha import Challenge, Payload, Solution, solve_challenge
from hypothesis import given
from hypothesis import strategies as st

from ringwork.gate.respond.pow import CHECKS_PER_MINUTE, ProofOfWork, Work
from ringwork.kernel.clock import ManualClock

SECRET = b"a secret of thirty-two bytes, ok"
ANN, BOB = ("account", "ann"), ("account", "bob")
EASY = Work(cost=2, prefix="0")


def solved(text: bytes) -> dict[str, Any]:
    challenge = Challenge.from_dict(json.loads(text))
    solution = solve_challenge(challenge)
    assert solution is not None
    return Payload(challenge, solution).to_dict()


def packed(payload: object) -> str:
    return base64.b64encode(json.dumps(payload).encode()).decode()


def test_who_solves_a_challenge_is_clear_for_a_while() -> None:
    clock = ManualClock()
    pow_ = ProofOfWork(SECRET, clock=clock, work=EASY)
    payload = packed(solved(pow_.challenge(ANN, "/p/*")))
    checked = pow_.check(payload, ANN, "/p/*", address="192.0.2.1")
    assert checked.verdict == "solved"
    assert pow_.is_clear(checked.clearance, ANN)
    assert not pow_.is_clear(checked.clearance, BOB), "it is nobody else's"
    assert ProofOfWork(SECRET, clock=clock).is_clear(checked.clearance, ANN), (
        "nor forgotten by a restart"
    )
    assert not ProofOfWork(SECRET[::-1], clock=clock).is_clear(checked.clearance, ANN)
    clock.advance_us(3_601_000_000)
    assert not pow_.is_clear(checked.clearance, ANN)


def test_a_solution_is_for_one_actor_one_route_one_time_and_once() -> None:
    clock = ManualClock()
    pow_ = ProofOfWork(SECRET, clock=clock, work=EASY)
    payload = packed(solved(pow_.challenge(ANN, "/p/*")))
    assert pow_.check(payload, BOB, "/p/*", address=1).verdict == "foreign"
    assert pow_.check(payload, ANN, "/q/*", address=1).verdict == "foreign"
    assert pow_.check(payload, ANN, "/p/*", address=1).verdict == "solved"
    assert pow_.check(payload, ANN, "/p/*", address=1).verdict == "used"
    late = packed(solved(pow_.challenge(ANN, "/p/*")))
    clock.advance_us(601_000_000)
    assert pow_.check(late, ANN, "/p/*", address=1).verdict == "expired"


def test_nothing_of_a_challenge_can_be_changed() -> None:
    pow_ = ProofOfWork(SECRET, clock=ManualClock(), work=Work(cost=50, prefix="00"))
    text = pow_.challenge(ANN, "/")
    payload = solved(text)
    easier = json.loads(json.dumps(payload))
    easier["challenge"]["parameters"]["keyPrefix"] = ""
    longer = json.loads(json.dumps(payload))
    longer["challenge"]["parameters"]["data"]["until"] += 1000
    guessed = json.loads(json.dumps(payload))
    guessed["solution"]["counter"] += 1
    cheap = json.loads(json.dumps(payload))
    cheap["challenge"]["parameters"]["cost"] = 1
    unsigned = json.loads(json.dumps(payload))
    del unsigned["challenge"]["signature"]
    for forged in (easier, longer, guessed, cheap, unsigned):
        assert pow_.check(packed(forged), ANN, "/", address=1).verdict == "wrong"
    own = Challenge.from_dict(json.loads(text))
    own.signature = "00" * 32
    assert (
        pow_.check(Payload(own, Solution(0, "00")).to_base64(), ANN, "/", address=1).verdict
        == "wrong"
    )


def test_how_often_an_address_has_something_checked_is_bounded() -> None:
    pow_ = ProofOfWork(SECRET, clock=ManualClock(), work=EASY)
    found = [
        pow_.check("x", ANN, "/", address="192.0.2.1").verdict for _ in range(CHECKS_PER_MINUTE + 1)
    ]
    assert found == ["malformed"] * CHECKS_PER_MINUTE + ["too-many"]
    assert pow_.check("x", ANN, "/", address="192.0.2.2").verdict == "malformed"


@given(
    st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: base64.b64encode(raw).decode())
)
def test_no_payload_does_more_than_be_malformed(payload: str) -> None:
    pow_ = ProofOfWork(SECRET, clock=ManualClock(), work=EASY)
    assert pow_.check(payload, ANN, "/", address=1).verdict == "malformed"
    assert not pow_.is_clear(payload, ANN)


@pytest.mark.parametrize(
    "shape",
    [
        [],
        {},
        {"challenge": []},
        {"challenge": {"parameters": {"data": 5}}},
        {"challenge": {"parameters": {"data": {"until": "x", "for": 1}, "nonce": "n"}}},
    ],
)
def test_payloads_of_another_shape_are_malformed(shape: object) -> None:
    pow_ = ProofOfWork(SECRET, clock=ManualClock(), work=EASY)
    assert pow_.check(packed(shape), ANN, "/", address=1).verdict == "malformed"


@pytest.mark.parametrize(
    ("secret", "work"),
    [
        (b"short", EASY),
        (SECRET, Work(cost=0)),
        (SECRET, Work(cost=10**6)),
        (SECRET, Work(prefix="")),
    ],
)
def test_work_that_nobody_could_do_is_refused(secret: bytes, work: Work) -> None:
    with pytest.raises(ValueError, match="expected"):
        ProofOfWork(secret, clock=ManualClock(), work=work)
