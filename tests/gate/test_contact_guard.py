"""The contact guard by hand: who is shown, what it costs, and what nobody may see."""

from __future__ import annotations

import logging

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.gate.contacts import ContactGuard, ContactPolicy, Match, SyncRequest
from ringwork.gate.contacts.respond import encode
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.errors import Invalid, Refused
from tests.gate.contact_town import Town, number, numbers

ME = 1_000


# ---- who is shown ----------------------------------------------------------------------------
def test_in_mode_mutual_both_must_have_each_other():
    town = Town(range(10), "mutual")
    town.join(ME)
    town.have({0: [ME], 1: [2]})
    assert town.found(ME, [0, 1, 77]) == {0}


def test_the_ceiling_of_the_policy_holds_whatever_somebody_chose():
    town = Town(range(5), "mutual", level=2)
    town.join(ME)
    assert town.found(ME, [0, 1]) == set()


def test_whoever_is_to_be_found_by_nobody_is_not_even_by_a_friend():
    town = Town(range(5), "everyone")
    town.join(ME)
    town.have({0: [ME], 1: [ME]})
    town.levels[0] = 0
    assert town.found(ME, [0, 1]) == {1}


def test_whoever_chose_mutual_is_found_by_friends_only_where_others_are_open():
    town = Town(range(5), "everyone")
    town.join(ME)
    town.levels[0] = town.levels[1] = 1
    town.have({0: [ME]})
    assert town.found(ME, [0, 1, 2]) == {0, 2}


def test_a_pair_finds_each_other_once_both_have_sent_their_books():
    town = Town([0, 1], "mutual")
    assert town.found(0, [1]) == set()
    assert town.found(1, [0]) == {0}
    assert town.found(0, [1]) == {1}


def test_matches_come_in_the_order_of_their_numbers_and_hold_nothing_else():
    town = Town(range(9))
    town.join(ME)
    answer = town.sync(ME, [7, 3, 5])
    assert answer.matches == tuple(Match(number(i), i) for i in (3, 5, 7))


def test_strangers_are_shown_a_few_at_once_and_then_a_few_each_month():
    town = Town(range(100))
    town.join(ME)
    assert len(town.found(ME, range(100))) == 24
    assert len(town.found(ME, range(100))) == 24
    town.days(10)
    assert len(town.found(ME, range(100))) == 28  # 0.4 a day


def test_a_friend_adds_four_strangers_and_counts_for_one_asker_a_period():
    town = Town(range(200))
    town.join(ME)
    town.join(ME + 1)
    # 0 to 19 know both newcomers, and many know each of these.
    town.have({i: [ME, ME + 1, *range(20)] for i in range(30)})
    assert len(town.found(ME, [*range(20), *range(40, 120)])) == 20 + 80
    assert town.judged[-1].vouchers_spent == 14  # 24 + 14 * 4 = 80
    assert len(town.found(ME + 1, [*range(20), *range(120, 200)])) == 20 + 24 + 6 * 4


def test_vouchers_who_are_new_or_whom_nobody_has_count_for_little():
    town = Town(range(100, 140))
    for sybil in range(50, 60):
        town.join(sybil)
    town.join(ME)
    for sybil in range(50, 60):
        town.sync(sybil, [ME])
    shown = town.found(ME, [*range(50, 60), *range(100, 140)])
    assert shown >= set(range(50, 60))
    assert len(shown & set(range(100, 140))) == 24


def test_a_batch_in_which_next_to_nobody_has_the_asker_is_no_book():
    town = Town(range(300), "mutual")
    # These twenty had the number before the account was: it may have been somebody else's.
    town.have({i: [ME] for i in range(20)})
    town.join(ME)
    assert len(town.found(ME, range(300))) <= 3


def test_a_new_number_with_the_old_book_is_shown_who_was_shown_before():
    town = Town(range(100))
    town.have({0: range(1, 90)})
    town.join(ME)
    assert town.found(ME, range(1, 90)) == set(range(1, 90))
    assert len(town.found(ME, range(1, 100))) == 89 + 10


def test_a_book_that_is_half_somebodys_is_not_his():
    town = Town(range(100))
    town.have({0: range(1, 50)})
    town.join(ME)
    assert len(town.found(ME, range(1, 100))) < 45


def test_a_list_that_several_have_sent_is_nobodys_book():
    town = Town(range(100))
    town.have(dict.fromkeys(range(3), range(3, 90)))
    town.join(ME)
    assert len(town.found(ME, range(3, 90))) < 45


def test_accounts_of_an_attacker_hand_nothing_on():
    town = Town(range(100))
    for account in range(ME, ME + 4):
        town.join(account)
        assert len(town.found(account, range(100))) == 24


def test_people_of_a_first_book_who_have_each_other_are_shown_beyond():
    town = Town(range(60))
    town.have(
        {
            i: [*(j for j in range(60) if j != i), *range(5000 + 80 * i, 5080 + 80 * i)]
            for i in range(60)
        }
        | {i: range(20_000 + 100 * i, 20_100 + 100 * i) for i in range(300, 900)}
    )
    town.join(ME)
    assert len(town.found(ME, range(60))) == 24 + 16


# ---- what it costs ---------------------------------------------------------------------------
def test_only_numbers_that_were_not_sent_before_are_charged():
    town = Town([], policy=ContactPolicy(numbers_burst=100, numbers_per_day=10))
    assert town.sync(1, range(100)).status == "ok"
    assert town.sync(1, range(100)).status == "ok"
    answer = town.sync(1, range(105))
    assert (answer.status, answer.retry_after_s, answer.matches, answer.token) == (
        "wait",
        43_200,
        (),
        None,
    )
    town.days(0.5)
    assert town.sync(1, range(105)).status == "ok"


def test_doubles_and_unreadable_numbers_cost_nothing():
    town = Town([], policy=ContactPolicy(numbers_burst=3, numbers_per_day=1))
    answer = town.guard.sync(
        SyncRequest(
            account=1,
            numbers=["+4915112345678"] * 5
            + ["+49 151 12345678", "x", "0151", "+1", "+" + "9" * 50],
        )
    )
    assert (answer.status, answer.unreadable) == ("ok", 4)
    assert town.judged[-1].unseen == 1


def test_walking_through_a_block_is_refused_answers_nothing_and_costs_half():
    policy = ContactPolicy(ceiling="everyone", numbers_burst=1000, numbers_per_day=100)
    town = Town(range(5), policy=policy)
    town.join(ME)
    town.have({0: [ME]})
    walk = np.concatenate(
        [np.arange(491_700_000_000, 491_700_000_300, dtype=np.uint64), numbers(0, 1)]
    )
    answer = town.sync(ME, walk)
    assert (answer.status, answer.matches, answer.token) == ("refused", (), None)
    # Half of 302 numbers; 850 others are one too many, of which 100 come back a day.
    answer = town.sync(ME, range(10_000, 10_850))
    assert (answer.status, answer.retry_after_s) == ("wait", 864)
    assert town.sync(ME, range(10_000, 10_849)).status == "ok"


def test_a_refused_batch_is_not_remembered():
    town = Town([])
    walk = np.arange(491_700_000_000, 491_700_000_300, dtype=np.uint64)
    town.sync(1, walk)
    town.sync(1, walk)
    assert [one.unseen for one in town.judged] == [300, 300]


def test_a_batch_that_could_never_be_paid_is_refused():
    town = Town([], policy=ContactPolicy(numbers_burst=50))
    answer = town.sync(1, range(51))
    assert answer.status == "refused"
    assert answer.retry_after_s > 0


def test_changes_tell_what_is_new_and_are_charged_like_all():
    town = Town(
        range(10),
        policy=ContactPolicy(
            ceiling="everyone", unproven_burst=24, numbers_burst=20, numbers_per_day=1
        ),
    )
    town.join(ME)
    assert town.found(ME, range(10), scope="changes") == set(range(10))
    assert town.found(ME, range(10), scope="changes") == set()
    town.join(12)
    assert town.found(ME, range(13), scope="changes") == {12}
    assert town.found(ME, range(13), scope="changes") == {12}  # for ten days
    town.days(11)
    assert town.found(ME, range(13), scope="changes") == set()
    assert town.found(ME, range(13)) == {*range(10), 12}
    assert town.sync(ME, range(33), scope="changes").status == "wait"


# ---- tokens ----------------------------------------------------------------------------------
def test_a_token_proves_its_list_where_nothing_is_remembered():
    key = bytes(range(64))
    policy = ContactPolicy(numbers_burst=100, numbers_per_day=1)
    token = Town([], policy=policy, key=key).sync(1, range(100)).token
    fresh = Town([], policy=policy, key=key)
    assert fresh.sync(1, range(150), token=token).status == "ok"
    assert fresh.judged[-1].unseen == 50


@pytest.mark.parametrize(
    "what", ["foreign", "tampered", "short", "stale", "other list", "other key", "longer"]
)
def test_a_token_that_does_not_hold_proves_nothing_and_says_nothing(what):
    key = bytes(range(64))
    town = Town([], key=key)
    token = town.sync(1, range(50)).token
    fresh = Town([], key=bytes(64) if what == "other key" else key)
    account, people = 1, list(range(50))
    if what == "foreign":
        account = 2
    if what == "tampered":
        token = token[:-1] + bytes([token[-1] ^ 1])
    if what == "short":
        token = token[:-1]
    if what == "stale":
        fresh.days(91)
    if what == "other list":
        people[7] = 99
    if what == "longer":
        token = token[:5] + (51).to_bytes(4, "big") + token[9:]
        people.append(99)
    assert fresh.sync(account, people, token=token).status == "ok"
    assert fresh.judged[-1].unseen == len(people)


def test_a_used_token_proves_its_own_list_again_and_no_more():
    key = bytes(range(64))
    town = Town([], key=key)
    first = town.sync(1, range(50)).token
    town.sync(1, range(80), token=first)
    fresh = Town([], key=key)
    fresh.sync(1, range(80), token=first)
    assert fresh.judged[-1].unseen == 30


# ---- the platform's side ---------------------------------------------------------------------
def test_a_blocked_number_is_found_by_nobody_and_costs_what_others_cost():
    town = Town(range(10))
    town.join(ME)
    town.have({3: [ME]})
    town.guard.block_number(number(3))
    assert town.found(ME, range(10)) == set(range(10)) - {3}
    assert town.judged[-1].unseen == 10
    town.sync(ME, range(10))
    assert town.judged[-1].unseen == 0
    town.guard.unblock_number(number(3))
    assert 3 in town.found(ME, range(10))


def test_an_erased_number_is_in_no_book_any_more():
    town = Town(range(3), "mutual")
    town.have({0: [1, 2], 1: [0, 2]})
    assert town.guard.erase_number(number(2)) == 2
    assert town.guard.erase_number(number(2)) == 0
    assert town.found(2, [0, 1]) == set()
    assert town.found(0, [1]) == {1}


def test_whoever_gets_a_number_does_not_get_its_friends():
    town = Town(range(5), "mutual")
    town.have({0: [4], 1: [4], 4: [0, 1]})
    assert town.found(4, [0, 1]) == {0, 1}
    town.guard.forget_account(4)
    del town.numbers[4]
    town.join(ME, at=number(4))
    assert town.found(ME, [0, 1]) == set()
    # The book of the account that ended is gone as well.
    assert town.found(0, [1, 2]) == set()


def test_a_number_that_was_left_does_not_bring_its_friends_to_the_next_owner():
    town = Town(range(5), "mutual")
    town.have({0: [4], 1: [4], 4: [0, 1]})
    town.sync(4, [0, 1])
    town.numbers[4] = number(500)
    town.sync(4, [0, 1])
    town.join(ME, at=number(4))
    assert town.found(ME, [0, 1]) == set()


def test_what_was_not_sent_for_long_is_forgotten():
    town = Town([])
    town.sync(1, range(50))
    town.days(100)
    town.sync(1, range(20))
    town.days(100)
    assert town.guard.sweep() == 30
    town.sync(1, range(50))
    assert town.judged[-1].unseen == 30


def test_a_guard_goes_on_where_the_saved_one_stood():
    class Store:
        state = None

        def load(self):
            return self.state

        def save(self, state):
            self.state = state

    store, key = Store(), bytes(range(64))
    town = Town(range(100), store=store, key=key)
    town.join(ME)
    town.have({0: [ME, *range(1, 30)]})
    town.guard.block_number(number(5))
    shown = town.found(ME, range(60))
    town.guard.save()
    again = Town(range(100), store=store, key=key)
    again.join(ME)
    assert again.guard.dump() == town.guard.dump()
    assert again.found(ME, range(80)) == town.found(ME, range(80)) == shown
    assert again.judged[-1].unseen == 20


@pytest.mark.parametrize("state", [b"", b"\xc1", b"\x90", "other key", "cut"])
def test_a_state_that_cannot_be_used_is_refused_whole(state):
    town = Town(range(5), key=bytes(range(64)))
    town.sync(0, [1, 2])
    good = town.guard.dump()
    if state == "other key":
        state = Town(range(5), key=bytes(64)).guard.dump()
    if state == "cut":
        state = good[: len(good) // 2]
    with pytest.raises(Refused) as refused:
        town.guard.load(state)
    assert refused.value.slug == "contact-state-unusable"
    assert town.guard.dump() == good


def test_a_clock_that_goes_back_gives_nothing():
    town = Town(range(100))
    town.join(ME)
    town.days(1)
    shown = town.found(ME, range(100))
    town.clock.set_wall_us(0)
    assert town.found(ME, range(100)) == shown
    town.clock.set_wall_us(1_764_158_400_000_000 + 86_400_000_000)
    assert town.found(ME, range(100)) == shown


# ---- bad input -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "bad",
    [
        {"numbers": "+4915112345678"}, {"numbers": None}, {"numbers": np.zeros((2, 2), np.uint64)},
        {"numbers": np.array([1.5])}, {"account": -1}, {"account": True}, {"account": "7"},
        {"account": 2**63}, {"scope": "all"}, {"token": "text"},
    ],
)  # fmt: skip
def test_what_is_no_request_is_invalid(bad):
    town = Town(range(3))
    with pytest.raises(Invalid) as refused:
        town.guard.sync(SyncRequest(**{"account": 1, "numbers": numbers(0), **bad}))
    assert "4915" not in str(refused.value)


def test_too_many_numbers_are_413():
    town = Town(range(3))
    with pytest.raises(Refused) as refused:
        town.sync(1, range(10_001))
    assert (refused.value.status, refused.value.slug) == (413, "too-many-numbers")
    assert town.sync(1, range(10_000)).status == "ok"


def test_odd_numbers_are_counted_and_never_wrap():
    town = Town([])
    odd = np.array([-1, 0, 999_999, 10**15, -(2**63)], dtype=np.int64)
    answer = town.sync(1, odd)
    assert (answer.unreadable, answer.matches) == (5, ())
    answer = town.sync(1, np.array([2**64 - 1, 10**15 - 1], dtype=np.uint64))
    assert answer.unreadable == 1
    assert town.guard.sync(SyncRequest(account=1, numbers=[])).status == "ok"
    assert town.guard.sync(SyncRequest(account=1, numbers=[None, 5, b"x"])).unreadable == 3


def test_an_account_without_a_number_or_a_directory_entry_is_answered():
    town = Town(range(5))
    assert town.found(77, range(5)) == set(range(5))


@pytest.mark.parametrize(
    "bad",
    [
        {"accounts": [0, 0]},
        {"offsets": [0, 2]},
        {"offsets": [1, 1, 2]},
        {"offsets": [0, 2, 1]},
        {"accounts": [-1, 0]},
    ],
)
def test_books_whose_rows_do_not_fit_are_invalid(bad):
    town = Town(range(3))
    with pytest.raises(Invalid):
        town.guard.import_books(
            **{"accounts": [0, 1], "offsets": [0, 1, 2], "numbers": numbers(1, 2), **bad}
        )


def test_a_policy_that_cannot_be_says_every_fault():
    with pytest.raises(Refused) as refused:
        ContactPolicy(numbers_burst=0, coherent_p=2, ceiling="all")
    assert {fault.pointer for fault in refused.value.errors} == {
        "/numbers_burst",
        "/coherent_p",
        "/ceiling",
    }
    with pytest.raises(Refused):
        ContactPolicy.preset("all")
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"numbers_bust": 3}, ContactPolicy)


def test_nothing_that_is_printed_or_logged_holds_a_number(caplog):
    caplog.set_level(logging.DEBUG)
    town = Town(range(9))
    town.join(ME)
    request = SyncRequest(account=ME, numbers=numbers(3, 4))
    answer = town.guard.sync(request)
    printed = f"{request!r} {answer!r} {town.guard!r} {town.judged!r} {caplog.text}"
    assert str(number(3)) not in printed
    assert answer.matches[0].number == number(3)


# ---- the bound -------------------------------------------------------------------------------
@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.integers(0, 399),
            st.integers(1, 200),
            st.floats(0, 4),
            st.booleans(),
        ),
        min_size=1,
        max_size=25,
    )
)
def test_accounts_that_nobody_has_learn_no_more_than_the_policy_says(steps):
    """a + c a day + b a voucher of their own + what coherence may pass, whatever they send."""
    town = Town(range(400))
    rng = np.random.default_rng(1)
    town.have({i: rng.integers(0, 400, 40).tolist() for i in range(400)})
    mine = [ME + i for i in range(4)]
    for account in mine:
        town.join(account, days_ago=300)
    learned = {account: set() for account in mine}
    days = 0.0
    for who, start, count, wait, changes in steps:
        people = [i % 400 for i in range(start, start + count)]
        answer = town.sync(mine[who], [*people, *mine], scope="changes" if changes else "full")
        learned[mine[who]] |= {match.account for match in answer.matches} - set(mine)
        town.days(wait)
        days += wait
    assert days <= 100
    policy = town.guard.policy
    each = (
        policy.unproven_burst
        + policy.unproven_per_day * days
        + policy.coherent_burst
        + policy.voucher_worth * (1 + days // policy.period_days)
    )
    assert len(set().union(*learned.values())) <= len(mine) * each
    assert all(
        len(one) <= each + 3 * policy.voucher_worth * (1 + days // policy.period_days)
        for one in learned.values()
    )


# ---- sizes -----------------------------------------------------------------------------------
@settings(max_examples=15, deadline=None)
@given(st.integers(1, 300), st.integers(0, 300))
def test_an_answer_is_as_long_as_the_count_of_numbers_says(sent, here):
    town = Town(range(here))
    town.join(ME)
    few = encode(town.sync(ME, range(sent)), sent)
    none = encode(Town([]).sync(ME, range(sent)), sent)
    assert len(few) == len(none)
    read = msgspec.json.decode(few)
    assert set(read) == {"status", "matches", "token", "retry_after_s", "unreadable"}


def test_the_longest_answer_fits_its_size():
    town = Town([])
    matches = tuple(Match(10**15 - 1, 2**63 - 1) for _ in range(64))
    answer = msgspec.structs.replace(town.sync(1, range(64)), matches=matches, retry_after_s=10**9)
    assert len(encode(answer, 64)) == len(encode(town.sync(1, range(64)), 64))


def test_a_guard_needs_no_store_and_draws_its_own_key():
    guard = ContactGuard(
        ContactPolicy(), directory=Town([]), clock=ManualClock(), entropy=SeededEntropy(5)
    )
    assert guard.sync(SyncRequest(account=1, numbers=[])).status == "ok"
    with pytest.raises(ValueError, match="store"):
        guard.save()
