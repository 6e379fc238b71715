"""The fold of flights: what is billed in the control arm, how it clumps, and whose it is."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from ringwork.fairness.delivery.events import (
    Audience,
    Contest,
    FlightOpened,
    PersonUndescribed,
    SpecialAdsCompeted,
    SpecialAdShown,
    SpecialAdSold,
)
from ringwork.fairness.delivery.flights import CELL_DAYS, Flights, LeftAlone
from ringwork.fairness.measure.caps import DAY_US
from ringwork.fairness.plan import PrivacyPlan
from ringwork.fairness.privacy.accounting import Cost
from ringwork.fairness.privacy.budget import FlightDeclared
from ringwork.kernel.events import Event, Recorded

ANNA, BEN = b"anna".ljust(16), b"ben".ljust(16)


class Told:
    """A fold and the events that it was told."""

    def __init__(self) -> None:
        self.flights = Flights()
        self.events: list[Recorded] = []

    def tell(self, event: Event, subject: bytes | None = None) -> None:
        seq = len(self.events) + 1
        recorded = Recorded(
            partition=0, seq=seq, id=id_of(str(seq)), ts_us=1, request_id=b"", cause_id=None,
            tenant="t", subject=subject, purpose=None, payload=event,
        )  # fmt: skip
        self.events.append(recorded)
        self.flights.apply(recorded)

    def open(self) -> None:
        cost = Cost(add_remove_micro=1, replace_micro=1, delta="1e-6")
        declared = FlightDeclared(
            ad="ad", segment=len(self.flights.ads["ad"].segments) if self.flights.ads else 0,
            privacy=PrivacyPlan(arm_sigma=10.0), vectors=2, cost=cost,
        )  # fmt: skip
        self.tell(FlightOpened(declared, Audience(), (), 100, "", "HOUSING", "t", (), 20_000))

    def sell(self, name: str, subject: bytes | None, *, cluster: int, is_left_alone: bool) -> None:
        won = Contest("ad", 5, 1, 0, is_left_alone, True, id_of(name))
        lost = Contest("other", 4, 5, 0, is_left_alone, False)
        self.tell(SpecialAdsCompeted(cluster, [won, lost]))
        if subject is not None:
            self.tell(SpecialAdSold(id_of(name), "ad", cluster, is_left_alone), subject)

    def show(self, name: str, day: int = 0) -> None:
        sale = self.flights.sales[id_of(name)]
        self.tell(
            SpecialAdShown(id_of(name), "ad", sale.cluster, sale.is_left_alone, 7, day * DAY_US),
            sale.subject,
        )


def id_of(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=16).digest()


def sold_and_shown() -> Told:
    """Three impressions in two cells of the arm, one of them of nobody who is known, and others."""
    told = Told()
    told.sell("early", ANNA, cluster=3, is_left_alone=True)
    told.show("early")
    told.open()
    for name, subject, cluster, is_left_alone, day in (
        ("of nobody", None, 3, True, 0), ("of Ben", BEN, 5, True, 1),
        ("steered", BEN, 5, False, 2), ("steered, of nobody", None, 3, False, 2),
    ):  # fmt: skip
        told.sell(name, subject, cluster=cluster, is_left_alone=is_left_alone)
        told.show(name, day)
    return told


def test_impressions_of_the_arm_count_whoever_they_are_shown_to() -> None:
    segment = sold_and_shown().flights.ads["ad"].open
    assert (segment.impressions, segment.spend_nanos) == (5, 35)
    arm = segment.left_alone
    assert (arm.impressions, arm.spend_nanos) == (3, 21)
    assert arm.squares == 2**2 + 1, "two in one cell, one in another"
    reached = [
        (one.subject, one.is_left_alone) for one in sold_and_shown().flights.ads["ad"].reached
    ]
    assert reached == [(ANNA, True), (BEN, True), (BEN, False)]


def test_a_fold_that_is_loaded_goes_on_as_one_that_was_told_everything() -> None:
    told, other = sold_and_shown(), Flights()
    for cut in range(len(told.events) + 1):
        other.clear()
        for one in told.events[:cut]:
            other.apply(one)
        after = Flights()
        after.load(other.dump())
        for one in told.events[cut:]:
            after.apply(one)
        assert after.dump() == told.flights.dump()


def test_who_is_erased_is_nobody_and_stays_where_it_was_sold() -> None:
    told = Told()
    told.open()
    told.sell("of Anna", ANNA, cluster=3, is_left_alone=True)
    assert told.flights.knows(ANNA)
    told.tell(PersonUndescribed(), ANNA)
    assert not told.flights.knows(ANNA)
    told.show("of Anna")
    flight = told.flights.ads["ad"]
    assert (flight.open.left_alone.impressions, flight.reached) == (1, [])


def test_an_impression_that_comes_twice_counts_once() -> None:
    told = Told()
    told.open()
    told.sell("one", None, cluster=3, is_left_alone=True)
    told.show("one")
    told.tell(SpecialAdShown(id_of("one"), "ad", 3, True, 7, 0))
    assert told.flights.ads["ad"].open.left_alone.impressions == 1


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), max_size=60))
def test_squares_are_those_of_the_cells(shown: list[tuple[int, int]]) -> None:
    """In order of days, against a count of every cell."""
    arm, cells = LeftAlone(), dict[tuple[int, int], int]()
    for day, cluster in sorted(shown):
        arm.add(cluster, day, 1)
        cells[day, cluster] = cells.get((day, cluster), 0) + 1
    assert arm.squares == sum(one * one for one in cells.values())
    assert arm.impressions == len(shown)
    assert len(arm.days) <= CELL_DAYS


def test_what_comes_days_late_is_a_cell_of_its_own() -> None:
    arm = LeftAlone()
    for day in (0, 0, CELL_DAYS, 0, 0):
        arm.add(1, day, 1)
    assert (arm.impressions, arm.squares) == (5, 2**2 + 1 + 1 + 1)
