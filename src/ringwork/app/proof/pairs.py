"""Wall 5: two worlds that differ in what people did answer the same, byte for byte (2-safety).

Non-interference is a property of two runs (Clarkson, Schneider: Hyperproperties, 2010): whatever
the secret is, what can be observed is the same. Observed are the answer, every stored event, what
the auction was given, and what outside bidders were told. Deviation from the pure form: all tested
people differ at once, not one of them; that lets a leak of anybody's past show in anybody's answer.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ringwork.ads.events import AuctionCleared
from ringwork.app.proof.cases import Case, Cases, Sent
from ringwork.app.proof.sightings import Sightings
from ringwork.app.proof.town import Town
from ringwork.app.proof.world import Answer, ProofFailed, World
from ringwork.fairness.delivery.events import PersonClustered, SpecialAdShown, SpecialAdSold
from ringwork.kernel.events import Envelope

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BLOCK: Final = 250
"""Pairs between two looks at the stored events, and at the house."""
OTHERS_EVERY: Final = 10
"""After so many pairs somebody is served who consented and did the same in both worlds."""
SHOWN_US: Final = 1_000_000
"""Between an answer and its beacons: what comes at once is no person's, and is not billed."""
BROWSER: Final = [
    (b"host", b"localhost"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
]
SAMPLES_MAX: Final = 5
NAMES: Final = frozenset({"idempotency_keys/1", "fairness_flights/2", "fairness_people/2"})
"""Kept of what names people: fingerprints of commands' bodies, which hold their ids, and whom
special ads reached and how often ads were shown, of those who allow it; of that nothing is read but
noisy sums (where a plan has noise)."""

REACHED: Final = frozenset({SpecialAdSold.TYPE, SpecialAdShown.TYPE})
"""Events whose subject is whom a special ad reached."""

_NO_PAIR: Final = -1

_pack: Final = msgspec.msgpack.Encoder().encode
Progress = Callable[[str, int], None]


class Difference(Struct, frozen=True):
    """Where the worlds differed: by this, history could be told."""

    case: str
    what: str
    """answer, events, inputs, told outside, or standing (budgets, ledger, catalogue, consent)."""
    bytes: int
    number: int


class Found(Struct):
    """What came of the pairs."""

    pairs: int = 0
    differing_pairs: int = 0
    differing_bytes: int = 0
    columns_read: int = 0
    """Ways into the history that were taken while a request without consent was answered."""
    columns_denied: int = 0
    sold: int = 0
    cases: dict[str, int] = {}
    tiers: dict[str, int] = {}
    controls: int = 0
    controls_differing: int = 0
    """Of those, requests *with* consent whose answers differed: the worlds do differ."""
    differences: list[Difference] = []
    """The first few."""

    def differ(self, number: int, case: str, what: str, one: bytes, other: bytes) -> bool:
        """Whether two observations differ, noted."""
        if one == other:
            return False
        count = distance(one, other)
        self.differing_bytes += count
        if len(self.differences) < SAMPLES_MAX:
            self.differences.append(Difference(case, what, count, number))
        return True


def distance(one: bytes, other: bytes) -> int:
    """Bytes that differ, place by place; what one has more than the other counts."""
    same_length = min(len(one), len(other))
    return sum(map(int.__ne__, one, other)) + max(len(one), len(other)) - same_length


class Worlds:
    """Both of them, in step."""

    def __init__(
        self,
        folder: Path,
        town: Town,
        *,
        seed: int,
        sightings: Sightings,
        plant: Plant | None = None,
    ) -> None:
        """``plant`` is done to both."""
        self.town = town
        self._sightings = sightings
        self.cases = Cases(town, seed=seed)
        self.found = Found()
        self.pair = tuple(World(folder / name, seed=seed, plant=plant) for name in ("a", "b"))
        self._followed = 0
        self._tiers: Counter[str] = Counter()
        self._cases: Counter[str] = Counter()

    async def settle(self) -> None:
        """Begin both; then they are equal but for people's pasts. Raises ProofFailed."""
        await asyncio.gather(
            *(
                self._settle(world, swapped=swapped)
                for world, swapped in zip(self.pair, (False, True), strict=True)
            )
        )
        for world in self.pair:
            world.inputs.clear()
            world.bidder.told.clear()
        apart = self._apart()
        if apart:
            raise ProofFailed(f"the worlds are not equal to begin with: {', '.join(apart)} differ")

    async def _settle(self, world: World, *, swapped: bool) -> None:
        await world.begin()
        await self.town.settle(world, swapped=swapped)

    async def run(self, pairs: int, progress: Progress | None = None) -> None:
        """So many pairs, compared."""
        stream = iter(self.cases)
        done = 0
        while done < pairs:
            block = [next(stream) for _ in range(min(BLOCK, pairs - done))]
            await self._block(block, first=done)
            done += len(block)
            if progress is not None:
                progress("pairs of worlds", done)
        apart = self._apart()
        for name in apart:
            self.found.differ(done, "all", f"standing: {name}", b"\0", b"\1")

    async def control(self, requests: int) -> None:
        """Requests with consent: here what people did must show, else the proof sees nothing."""
        for _ in range(requests):
            case = self.cases.consented()
            one, other = await self._answers(case)
            self.found.controls += 1
            self.found.controls_differing += _ads_of(one) != _ads_of(other)

    async def _other(self, number: int) -> None:
        """Budgets move with consent, too, and alike: this is not counted, and must not differ."""
        one, other = await self._answers(self.cases.other())
        self.found.differ(number, "others", "answer", one.whole(), other.whole())
        for world in self.pair:
            world.inputs.clear()
            world.bidder.told.clear()

    async def _block(self, block: list[Case], *, first: int) -> None:
        found, apart = self.found, set[int]()
        for number, case in enumerate(block, first):
            if number % OTHERS_EVERY == 0:
                await self._other(number)
            with ExitStack() as counting:
                for world in self.pair:
                    world.clock.advance_us(case.step_us)
                    counting.enter_context(world.reads.counting())
                answers = await self._answers(case)
            told = [_taken(world.bidder.told) for world in self.pair]
            seen = {
                "answer": [one.whole() for one in answers],
                "inputs": [_taken(world.inputs) for world in self.pair],
                "told outside": told,
            }
            for what in ("answer", "told outside"):
                self._sightings.look_at(what, b"".join(seen[what]))
            for what, (one, other) in seen.items():
                if found.differ(number, case.name, what, one, other):
                    apart.add(number)
            self._cases[case.name] += 1
            if case.follows:
                await self._follow(answers)
        for world in self.pair:
            await world.keep_house()
        apart |= self._compare_events(block, first, [await world.events() for world in self.pair])
        found.pairs += len(block)
        found.differing_pairs += len(apart - {_NO_PAIR})
        found.columns_read = sum(world.reads.read for world in self.pair)
        found.columns_denied = sum(world.reads.denied for world in self.pair)
        found.cases, found.tiers = dict(self._cases), dict(self._tiers)

    async def _answers(self, case: Case) -> tuple[Answer, Answer]:
        """Both worlds are asked at once, so that one's disk is waited for beside the other's."""
        one, other = await asyncio.gather(*map(_ask, self.pair, case.sent))
        if one.status not in (200, 204) and case.name != "consented":
            raise ProofFailed(f"{case.name}: {one.status} {one.body.decode()}")
        return one, other

    async def _follow(self, answers: tuple[Answer, Answer]) -> None:
        """The page shows the ads that it was given: state of the kind that a request leaves."""
        self._followed += 1
        client = f"203.0.113.{self._followed % 256}"
        for world, answer in zip(self.pair, answers, strict=True):
            world.clock.advance_us(SHOWN_US)
            for path in _beacons(answer):
                await world.ask("GET", path, headers=BROWSER, client=client)

    def _compare_events(
        self, block: list[Case], first: int, stored: list[list[Envelope]]
    ) -> set[int]:
        """The numbers of the pairs whose stored events differ; ``_NO_PAIR`` for other events."""
        apart: set[int] = set()
        cases = dict(enumerate(block, first))
        numbers = {self._request_of(case): number for number, case in cases.items()}
        one, other = (
            [event for event in events if self._is_compared(event, cases, numbers)]
            for events in stored
        )
        if len(one) != len(other):
            self.found.differ(first, "all", "events: how many", _pack(len(one)), _pack(len(other)))
            apart.add(_NO_PAIR)
        for left, right in zip(one, other, strict=False):
            number = numbers.get(left.request_id, _NO_PAIR)
            case = cases.get(number)
            self._count(left)
            seen = [self._seen(event, case) for event in (left, right)]
            if self.found.differ(number, "none" if case is None else case.name, "events", *seen):
                apart.add(number)
        return apart

    @staticmethod
    def _is_compared(
        event: Envelope, cases: Mapping[int, Case], numbers: Mapping[bytes, int]
    ) -> bool:
        """Whether the other world must have its like.

        Not of where a person was first met in a period, which is told once, and not of whom a
        special ad was sold for, where only one of the two requests says whom it is for.
        """
        if event.type != SpecialAdSold.TYPE:
            return event.type != PersonClustered.TYPE
        case = cases.get(numbers.get(event.request_id, _NO_PAIR))
        return case is None or not case.names_differ

    def _seen(self, event: Envelope, case: Case | None) -> bytes:
        """All of an event, but for what requests that differ say themselves of whom they name."""
        if case is None or case.sent[0] == case.sent[1]:
            return _pack(event)
        if event.type in REACHED:
            event = replace(event, subject=None, purpose=None)
        if not case.names_differ:
            return _pack(event)
        decoded = self.pair[0].platform.types.decode(event)
        match decoded:
            case AuctionCleared():
                decoded = replace(decoded, tier_reasons=(), measurable=False)
        return _pack(replace(event, payload=msgspec.Raw(_pack(decoded))))

    def _count(self, event: Envelope) -> None:
        if event.type == AuctionCleared.TYPE:
            decoded = self.pair[0].platform.types.decode(event)
            assert isinstance(decoded, AuctionCleared)
            self._tiers[decoded.tier] += 1
            self.found.sold += any(one.impression_id is not None for one in decoded.slots)

    @staticmethod
    def _request_of(case: Case) -> bytes:
        text = dict(case.sent[0].headers)[b"x-request-id"].decode()
        return bytes.fromhex(text.replace("-", ""))

    def _apart(self) -> list[str]:
        """What decisions read and is not the same in both."""
        one, other = (world.standing() for world in self.pair)
        return [name for name in one if one[name] != other[name] and name not in NAMES]


Plant = Callable[[World], None]


@asynccontextmanager
async def worlds(
    folder: Path, town: Town, *, seed: int, sightings: Sightings, plant: Plant | None = None
) -> AsyncIterator[Worlds]:
    """Both, settled; closed at the end, their directories stay."""
    made = Worlds(folder, town, seed=seed, sightings=sightings, plant=plant)
    try:
        await made.settle()
        yield made
    finally:
        for world in made.pair:
            await world.close()


async def _ask(world: World, sent: Sent) -> Answer:
    return await world.ask(
        sent.method, sent.target, sent.body, headers=sent.headers, client=sent.client
    )


def _taken(seen: list[bytes]) -> bytes:
    whole = b"\n".join(seen)
    seen.clear()
    return whole


def _ads_of(answer: Answer) -> list[str]:
    return [one["ad"] for one in msgspec.json.decode(answer.body).get("ads", ())]


def _beacons(answer: Answer) -> Iterator[str]:
    """The impression beacons of a native answer, as paths."""
    if answer.status == 200 and answer.body.startswith(b'{"request_id"'):
        for one in msgspec.json.decode(answer.body)["ads"]:
            url = one["beacons"]["impression"]
            yield url[url.index("/b/") :]
