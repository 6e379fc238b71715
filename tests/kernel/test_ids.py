import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy, SystemEntropy
from ringwork.kernel.ids import IdGenerator, derived_id, format_id, id_time_us, parse_id

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "ids.json").read_text())


class AllOnes:
    def take(self, count: int) -> bytes:
        return b"\xff" * count


class Fixed:
    def __init__(self, value: int) -> None:
        self._value = value

    def take(self, count: int) -> bytes:
        return self._value.to_bytes(count, "big")


def test_published_example_of_rfc_9562():
    rfc = VECTORS["rfc9562"]
    clock = ManualClock(rfc["unix_ts_ms"] * 1000)
    # The RFC's rand_a stands where our counter stands: start one below it in the same millisecond.
    made = IdGenerator(
        clock, Fixed(rfc["rand_b"]), last_ms=rfc["unix_ts_ms"], counter=rfc["rand_a"] - 1
    ).new()
    assert format_id(made) == rfc["id"]
    assert id_time_us(made) == rfc["unix_ts_ms"] * 1000


def test_sequence_with_a_clock_that_stands_goes_back_and_moves():
    clock = ManualClock(0)
    ids = IdGenerator(clock, AllOnes())
    for step in VECTORS["sequence"]:
        clock.set_wall_us(step["clock_ms"] * 1000)
        assert format_id(ids.new()) == step["id"], step["why"]


def test_full_counter_borrows_the_next_millisecond():
    case = VECTORS["overflow"]
    ids = IdGenerator(ManualClock(case["clock_ms"] * 1000), AllOnes(), **case["state"])
    assert format_id(ids.new()) == case["id"]


@given(st.lists(st.integers(-5_000, 5_000), max_size=50), st.integers())
def test_ids_strictly_increase_whatever_the_clock_does(steps_us, seed):
    clock = ManualClock(1_000_000_000)
    ids = IdGenerator(clock, SeededEntropy(seed))
    last = b""
    for step in steps_us:
        clock.set_wall_us(clock.wall_us() + step)
        made = ids.new()
        assert made > last
        assert parse_id(format_id(made)) == made
        last = made


def test_a_derived_id_by_hand():
    """Time and counter of its source; variant 2; then 62 bits of BLAKE2b, which RFC 7693 defines.

    The digest is what ``printf SOURCE | b2sum`` of another implementation gives with that key.
    """
    source = parse_id("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")
    made = format_id(derived_id(source, "sold"))
    assert made.startswith("017f22e2-79b0-7cc3-")
    assert id_time_us(derived_id(source, "sold")) == id_time_us(source)
    low = int.from_bytes(hashlib.blake2b(source, key=b"sold", digest_size=8).digest(), "big") & (
        2**62 - 1
    )
    assert int(made[19:].replace("-", ""), 16) == (2 << 62) + low


@given(st.binary(min_size=16, max_size=16), st.text(max_size=16), st.text(max_size=16))
def test_derived_ids_are_the_same_for_the_same_and_others_for_others(source, one, other):
    made = derived_id(source, one)
    assert made == derived_id(source, one)
    assert len(made) == 16
    assert (made == derived_id(source, other)) == (one == other)
    assert made != source


def test_a_label_that_is_too_long_for_a_key_is_refused():
    with pytest.raises(ValueError, match="64"):
        derived_id(bytes(16), "x" * 65)


@pytest.mark.parametrize("text", ["", "x" * 36, "017f22e279b07cc398c4dc0c0c07398f", "{017f22e2}"])
def test_text_that_is_no_id_is_named_in_the_error(text):
    with pytest.raises(ValueError, match="expected an id like 017f22e2-"):
        parse_id(text)


def test_entropy_gives_what_was_asked_for_and_repeats_only_when_seeded():
    system = SystemEntropy()
    taken = [system.take(count) for count in (0, 1, 16, 4095, 4096, 5000)]
    assert [len(part) for part in taken] == [0, 1, 16, 4095, 4096, 5000]
    assert SeededEntropy(7).take(100) == SeededEntropy(7).take(60) + SeededEntropy(7).take(100)[60:]
    assert SeededEntropy(7).take(8) != SeededEntropy(8).take(8)
