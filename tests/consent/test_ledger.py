"""The ledger as a library, on memory adapters: any life of decisions against the rules in words."""

import asyncio
import hmac

from hypothesis import given
from hypothesis import strategies as st

from ringwork.consent.audit import audit
from ringwork.consent.epochs import Bumps, Epochs, in_memory, place_of
from ringwork.consent.events import EVENTS
from ringwork.consent.ledger import ConsentLedger
from ringwork.consent.model import Join
from ringwork.consent.requests import NewConsent
from ringwork.consent.service import RECORDS_MAX, Consents
from ringwork.consent.settings import LASTS_US, ConsentSettings
from ringwork.consent.signing import Signer
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.errors import Conflict
from ringwork.kernel.events import EventTypes
from ringwork.kernel.ids import IdGenerator
from ringwork.kernel.journal import Journal, appliers_of, replay
from ringwork.kernel.purpose import PURPOSES
from ringwork.storage.memory import MemoryEventLog, MemoryKeyStore, MemorySnapshots

DAY_US = 86_400_000_000
SHOP = Join("shop", "main")


def pseudonym(subject: str) -> bytes:
    return hmac.digest(b"secret", subject.encode(), "sha256")[:16]


class House:
    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.clock, entropy = ManualClock(), SeededEntropy("consent")
        self.ledger, self.epochs, self.signer = (
            ConsentLedger(),
            Epochs(in_memory()),
            Signer(bytes(32)),
        )
        self.log = MemoryEventLog(clock=self.clock)
        ids = IdGenerator(self.clock, entropy)
        self.journal = Journal(
            log=self.log, types=EventTypes(EVENTS), folds=[self.ledger], clock=self.clock,
            ids=ids, snapshots=MemorySnapshots(),
        )  # fmt: skip
        bumps = Bumps(self.epochs)
        self.journal.when_decided(lambda: bumps.settle(self.log.head.seq, self.log.next_seq))
        self.consents = Consents(
            ledger=self.ledger, settings=ConsentSettings(), keys=MemoryKeyStore(entropy=entropy),
            pseudonym=pseudonym, ids=ids, bumps=bumps, signer=self.signer,
            erase=lambda command, subject: self.consents.erased(
                command, pseudonym(subject), ids.new()
            ),
        )  # fmt: skip

    def close(self) -> None:
        self.loop.close()

    def decide(self, **asked: object) -> str:
        """ "recorded", or the slug of the refusal."""

        async def run() -> str:
            try:
                with self.journal.command(tenant="main", request_id=bytes(16)) as command:
                    self.consents.record(command, NewConsent(**asked), "local")
                    await command.commit()
            except Conflict as refused:
                return refused.slug
            return "recorded"

        return self.loop.run_until_complete(run())

    def state(self, person: str):
        return self.ledger.state(pseudonym(f"person/{person}"), self.clock.wall_us())


DECISIONS = st.one_of(
    st.tuples(
        st.just("decide"),
        st.sampled_from(["anna", "ben"]),
        st.sampled_from(["grant", "refuse", "withdraw", "object"]),
        st.lists(st.sampled_from(PURPOSES), min_size=1, max_size=3, unique=True),
        st.booleans(),
        st.booleans(),
    ),
    st.tuples(st.just("erase"), st.sampled_from(["anna", "ben"])),
    st.tuples(st.just("minor"), st.sampled_from(["anna", "ben"]), st.booleans()),
    st.tuples(st.just("wait"), st.sampled_from([1, 200, 365])),
)


class Words:
    """The rules as one would tell them, for one person, joins included; nothing is shared."""

    def __init__(self) -> None:
        self.said: dict[str, tuple[str, int]] = {}
        self.minor = False

    def decide(self, action: str, purposes: list[str], join: bool, asked: bool, day: int) -> str:
        if action == "grant":
            if self.minor and "advertise" in purposes:
                return "minor"
            if asked:
                marks = [self.said.get(one) for one in purposes]
                if join:
                    marks += [self.said.get(f"join {one}") for one in purposes]
                refusals = [one for one in marks if one and one[0] != "granted"]
                if any(status == "objected" for status, _ in refusals):
                    return "objected"
                if any(day - since < 365 for _, since in refusals):
                    return "asked-too-soon"
        new = {
            "grant": "granted",
            "refuse": "refused",
            "withdraw": "withdrawn",
            "object": "objected",
        }
        for purpose in purposes:
            keys = [purpose, f"join {purpose}"]
            was_joined = self.said.get(keys[1], ("", 0))[0] == "granted"
            if not join and not (action != "grant" and was_joined):
                keys.pop()
            for key in keys:
                old = self.said.get(key, ("", 0))[0]
                if not (old == "objected" and action in ("refuse", "withdraw")):
                    self.said[key] = (new[action], day)
        return "recorded"


@given(st.lists(DECISIONS, max_size=25))
def test_any_life_follows_the_rules_and_replays_to_the_same(life):
    house, people, day, records = House(), {"anna": Words(), "ben": Words()}, 0, 0
    for what, *rest in life:
        if what == "wait":
            day += rest[0]
            house.clock.advance_us(rest[0] * DAY_US)
            continue
        words = people[rest[0]]
        if what == "erase":
            said = house.decide(person=rest[0], action="erase")
            for key, (status, _) in words.said.items():
                if status == "granted":
                    words.said[key] = ("withdrawn", day)
            expected = "recorded"
        elif what == "minor":
            words.minor = rest[1]
            said = house.decide(person=rest[0], action="declare", minor=rest[1])
            for key in ("advertise", "join advertise"):
                if rest[1] and words.said.get(key, ("", 0))[0] == "granted":
                    del words.said[key]
            expected = "recorded"
        else:
            person, action, purposes, join, asked = rest
            expected = words.decide(action, purposes, join, asked, day)
            said = house.decide(
                person=person, action=action, purposes=tuple(purposes), asked=asked,
                services=(SHOP,) if join else (), notice="0" * 64,
            )  # fmt: skip
        assert said == expected
        records += said == "recorded"
        for name, told in people.items():
            state = house.state(name)
            holds = {
                one for one, (status, since) in told.said.items()
                if status == "granted" and (day - since) * DAY_US < LASTS_US
            }  # fmt: skip
            assert state.granted == {one for one in PURPOSES if one in holds}
            assert {one for one, _, _ in state.joins} == {
                one for one in PURPOSES if {one, f"join {one}"} <= holds
            }
            for status in ("refused", "withdrawn", "objected"):
                assert getattr(state, status) == {
                    one for one in PURPOSES if told.said.get(one, ("",))[0] == status
                }
            assert state.minor == told.minor
            assert state.epoch == house.epochs.current(pseudonym(f"person/{name}"))

    rows = list(house.log.rows())
    again = ConsentLedger()
    replay(rows, EventTypes(EVENTS), appliers_of([again]))
    assert again.dump() == house.ledger.dump()
    assert again.counts == house.ledger.counts
    loaded = ConsentLedger()
    loaded.load(again.dump())
    assert (loaded.dump(), loaded.counts) == (again.dump(), again.counts)
    found = audit(rows, house.signer.public)
    assert (found.violations, found.records) == (0, records)
    house.close()


def test_people_of_one_place_move_each_others_epoch_and_nothing_else():
    house = House()
    house.decide(person="anna", action="grant", purposes=("advertise",), notice="0" * 64)
    anna = pseudonym("person/anna")
    before = house.ledger.state(anna, house.clock.wall_us())
    neighbour = bytes(13) + anna[-3:]
    assert place_of(neighbour) == place_of(anna)
    house.ledger.counts[place_of(neighbour)] += 1
    after = house.ledger.state(anna, house.clock.wall_us())
    assert (after.epoch, after.granted) == (before.epoch + 1, before.granted)
    assert before.epoch == 1, "what a request holds does not change below it"
    house.close()


def test_only_a_yes_is_refused_to_who_has_too_many_records():
    house = House()
    house.decide(person="anna", action="grant", purposes=("measure",), notice="0" * 64)
    house.ledger.standings[pseudonym("person/anna")].records = RECORDS_MAX
    again = {"person": "anna", "purposes": ("measure",), "notice": "0" * 64}
    assert house.decide(action="grant", **again) == "too-many-records"
    for action in ("refuse", "withdraw", "object"):
        assert house.decide(action=action, **again) == "recorded"
    house.close()
