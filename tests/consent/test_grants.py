"""A grant holds for what it says, for a moment, while the person's epoch stands."""

from array import array

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.consent.epochs import Bumps, Epochs, in_memory, place_of
from ringwork.consent.grants import GrantAuthority
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.purpose import Grant, GrantRefused, GrantVerifier

ANNA, REQUEST, KEY = b"anna" * 4, b"request-" * 2, bytes(range(32))


class House:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.epochs = Epochs(in_memory())
        self.authority = GrantAuthority(KEY, self.epochs, self.clock)

    def grant(self, **change: object) -> Grant:
        asked = {
            "subject": ANNA, "purposes": ("advertise",), "services": ("main", "shop"),
            "epoch": 0, "request_id": REQUEST, **change,
        }  # fmt: skip
        return self.authority.grant(**asked)

    def refusal(self, grant: Grant, **change: object) -> str | None:
        asked = {"purpose": "advertise", "service": "main", "request_id": REQUEST, **change}
        verifier: GrantVerifier = self.authority
        try:
            verifier.verify(grant, **asked)
        except GrantRefused as refused:
            return refused.reason
        return None


def test_it_holds_for_what_it_names():
    house = House()
    grant = house.grant()
    assert house.refusal(grant) is None
    assert house.refusal(grant, service="shop") is None
    assert house.refusal(grant, service="other") == "other-service"
    assert house.refusal(grant, purpose="measure") == "other-purpose"
    assert house.refusal(grant, request_id=b"another-" * 2) == "other-request"


def test_it_lasts_two_seconds_and_not_a_moment_longer():
    house = House()
    grant = house.grant()
    house.clock.advance_us(1_999_999)
    assert house.refusal(grant) is None
    house.clock.set_wall_us(0)  # a wall clock that is set back lengthens nothing
    house.clock.advance_us(1)
    assert house.refusal(grant) == "expired"


def test_any_decision_of_the_person_ends_it():
    house = House()
    grant = house.grant()
    house.epochs.bump(place_of(b"bens" * 4))
    assert house.refusal(grant) is None
    house.epochs.bump(place_of(ANNA))
    assert house.refusal(grant) == "ended"
    with pytest.raises(GrantRefused, match="ended"):
        house.grant()
    assert house.refusal(house.grant(epoch=1)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"subject": b"bens" * 4}, {"purposes": ("advertise", "measure")}, {"services": ("shop",)},
        {"epoch": 1}, {"expires_us": 10**15}, {"request_id": b"another-" * 2}, {"tag": b""},
        {"tag": bytes(32)}, {"tag": "text"}, {"purposes": "advertise"}, {"epoch": 2**70},
        {"subject": object()},
    ],
)  # fmt: skip
def test_what_was_changed_by_hand_is_forged(change):
    house = House()
    forged = msgspec.structs.replace(house.grant(), **change)
    assert house.refusal(forged, request_id=forged.request_id) == "forged"


def test_another_key_makes_other_grants():
    house = House()
    other = GrantAuthority(bytes(32), house.epochs, house.clock)
    grant = other.grant(
        subject=ANNA, purposes=("advertise",), services=("main",), epoch=0, request_id=REQUEST
    )
    assert house.refusal(grant) == "forged"
    with pytest.raises(ValueError, match="32 bytes"):
        GrantAuthority(b"short", house.epochs, house.clock)


TEXT = st.text("abc", max_size=3)


@given(
    st.tuples(st.lists(TEXT, max_size=3), st.lists(TEXT, max_size=3)),
    st.tuples(st.lists(TEXT, max_size=3), st.lists(TEXT, max_size=3)),
)
def test_no_two_meanings_share_a_tag(one, other):
    house = House()
    tags = [house.grant(purposes=tuple(p), services=tuple(s)).tag for p, s in (one, other)]
    assert (tags[0] == tags[1]) == (one == other)


# ---- epochs -------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(["record", "durable", "fail", "abandon"]), max_size=60))
def test_the_table_is_what_is_durable_whatever_fails(steps):
    """An oracle that counts: bumps follow the disk, never memory, and happen once."""
    epochs = Epochs(in_memory())
    bumps = Bumps(epochs)
    durable, appended = 0, 0
    for step in steps:
        if step == "record":
            appended += 1
            bumps.expect(appended, ANNA)
            bumps.settle(durable, appended + 1)
        elif step == "abandon":  # a command that failed before its commit
            bumps.expect(appended + 1, ANNA)
        elif step == "durable":
            durable = appended
            bumps.settle(durable, appended + 1)
        else:
            appended = durable
            bumps.settle(durable, appended + 1)
        assert epochs.current(ANNA) == durable


def test_a_table_is_raised_to_the_log_and_never_lowered():
    epochs = Epochs(in_memory())
    counts = array("I", in_memory().tolist())
    place = place_of(ANNA)
    epochs.bump(5)
    counts[place] = 3
    assert epochs.raise_to(counts) == 1, "place 5 has seen what the log does not have"
    assert (epochs.view[place], epochs.view[5]) == (3, 1)
    counts[5] = 2
    assert epochs.raise_to(counts) == 0
    assert epochs.view[5] == 2
