"""Canaries: entities that nobody real is, of which every actor is shown his own.

A profile, a number or an ad id that was shown to one actor alone, and is later seen in a leak,
names him. Nothing is stored: the entity *is* the actor's number, enciphered within the range that
real entities are drawn from, so a sighting is deciphered.

- No two actors share one: enciphering is a permutation, so there are no collisions at all.
- Nobody without the key tells one from a real one of the same range, or makes one that names
  somebody else, beyond the cipher's bound and beyond guessing.
- What is seen may be nobody's: a made-up entity of the range names somebody with the chance
  ``actors x each / size``. Where that is too much for one sighting, several are needed:
  ``accused`` says how many.

The cipher is swap-or-not (Hoang, Morris, Rogaway, "An Enciphering Scheme Based on a Card Shuffle",
CRYPTO 2012), which works on a range of any size, however small, and has a proof there: that is why
it is none of the Feistel schemes for cards. Its round function is BLAKE2b with a key.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from itertools import accumulate
from math import exp, lgamma, log, log1p, log2
from typing import Final

from msgspec import Struct

ADVANTAGE_MAX: Final = 2.0**-40
"""Of whoever tells canaries from real entities, though he had a quarter of the range explained."""
SIZE_MAX: Final = 2**64
FALSE_MAX: Final = 1e-6
"""Chance that anybody innocent is accused by one leak."""
SKIP_MAX: Final = 1000


class Accusation(Struct, frozen=True):
    """Whom a leak names."""

    actor: int
    sightings: int
    """Different canaries of his in it."""
    false_bound: float
    """Chance that *some* innocent actor has so many in a leak of made-up entities, at most."""


class Canaries:
    """Makes and recognises the canaries of one kind of entity."""

    def __init__(
        self, secret: bytes, *, kind: str, ranges: Sequence[tuple[int, int]], actors: int, each: int
    ) -> None:
        """Changing any argument changes every canary.

        ``ranges``: [from, to) of real entities of this ``kind`` (assigned blocks of numbers, ids
        given out so far), ascending; ``actors``: they are numbered from 0 below this; ``each``: how
        many an actor may be shown.

        ValueError for a short secret, ranges that overlap or hold too little.
        """
        if len(secret) < 32:
            raise ValueError(f"secret: expected 32 bytes or more, got {len(secret)}")
        ends = [end for _, end in ranges]
        if not ranges or any(
            not at < end or at < before
            for (at, end), before in zip(ranges, [0, *ends], strict=False)
        ):
            raise ValueError("ranges: expected [from, to) pairs that ascend and do not overlap")
        self._ranges = tuple(ranges)
        self._starts = [0, *accumulate(end - at for at, end in ranges)]
        self.size = self._starts.pop()
        if self.size > SIZE_MAX or not 1 <= actors * each <= self.size // 4:
            raise ValueError(
                f"expected at most {SIZE_MAX} entities and four times as many as canaries; got "
                f"{self.size} for {actors} actors with {each} each"
            )
        self.actors = actors
        self.each = each
        key = blake2b(kind.encode(), key=secret[:64], person=b"canary").digest()
        self._seed_key = blake2b(b"seed", key=key).digest()
        self._round = blake2b(key=key, digest_size=8)
        self._offsets = [self._keyed(b"k%d" % n) % self.size for n in range(rounds(self.size))]

    @property
    def false_share(self) -> float:
        """Chance that one made-up entity of the range names somebody."""
        return self.actors * self.each / self.size

    def canary(
        self, actor: int, number: int = 0, *, is_taken: Callable[[int], bool] | None = None
    ) -> int:
        """The entity to show to an actor; the same whenever it is asked for.

        ``is_taken``: whether somebody real is that entity: then the actor's next one is taken, and
        so must be what is seen later. ValueError for an actor or number that there is not, or where
        all of his are taken.
        """
        if not (0 <= actor < self.actors and 0 <= number < self.each):
            raise ValueError(
                f"expected an actor below {self.actors} and a number below {self.each}"
            )
        for step in range(min(self.each, SKIP_MAX)):
            found = self._encipher(actor * self.each + (number + step) % self.each)
            entity = self._entity(found)
            if is_taken is None or not is_taken(entity):
                return entity
        raise ValueError("all canaries of this actor are entities that somebody real is")

    def sighted(self, entity: int) -> int | None:
        """The actor who was shown it; None where nobody was, or it is none of the range."""
        index = self._index(entity)
        if index is None:
            return None
        actor = self._decipher(index) // self.each
        return actor if actor < self.actors else None

    def accused(
        self,
        leak: Iterable[int],
        *,
        is_real: Callable[[int], bool],
        false_max: float = FALSE_MAX,
    ) -> list[Accusation]:
        """Whom a leak names beyond doubt, the most sightings first.

        Entities that somebody real is are no evidence and are left out. Were the other *n* of the
        range made up, an innocent actor's sightings would be Binomial(n, each / size); he is
        accused where ``actors`` times its upper tail is at most ``false_max``.
        """
        hits: Counter[int] = Counter()
        others = 0
        for entity in set(leak):
            if self._index(entity) is None or is_real(entity):
                continue
            others += 1
            actor = self.sighted(entity)
            if actor is not None:
                hits[actor] += 1
        found = []
        for actor, sightings in hits.most_common():
            bound = min(1.0, self.actors * upper_tail(others, self.each / self.size, sightings))
            if bound <= false_max:
                found.append(Accusation(actor, sightings, bound))
        return found

    def seed(self, entity: int) -> bytes:
        """32 bytes to make the canary's name, picture and friends from: the same every time."""
        return blake2b(b"%d" % entity, key=self._seed_key, digest_size=32).digest()

    # ---- the range ------------------------------------------------------------------------------

    def _entity(self, index: int) -> int:
        at = bisect_right(self._starts, index) - 1
        return self._ranges[at][0] + index - self._starts[at]

    def _index(self, entity: int) -> int | None:
        at = bisect_right(self._ranges, entity, key=lambda one: one[0]) - 1
        if at < 0 or entity >= self._ranges[at][1]:
            return None
        return self._starts[at] + entity - self._ranges[at][0]

    # ---- the cipher -----------------------------------------------------------------------------

    def _encipher(self, index: int) -> int:
        for number, offset in enumerate(self._offsets):
            index = self._swapped(number, offset, index)
        return index

    def _decipher(self, index: int) -> int:
        """The rounds backwards: each undoes itself."""
        for number in range(len(self._offsets) - 1, -1, -1):
            index = self._swapped(number, self._offsets[number], index)
        return index

    def _swapped(self, number: int, offset: int, index: int) -> int:
        """One round: card and partner change places, or not, as a keyed bit of both says."""
        partner = (offset - index) % self.size
        return partner if self._keyed(b"%d:%d" % (number, max(index, partner))) & 1 else index

    def _keyed(self, text: bytes) -> int:
        found = self._round.copy()
        found.update(text)
        return int.from_bytes(found.digest(), "big")


def rounds(size: int) -> int:
    """How many rounds keep the advantage below ``ADVANTAGE_MAX`` for q = N / 4 questions.

    Theorem 4 of the paper, both ways asked: 8 N^1.5 / (r + 4) x ((q + N) / 2N)^(r/4 + 1).
    """
    share = log2((1 + 1 / 4) / 2)
    asked = 8
    while 3 + 1.5 * log2(size) - log2(asked + 4) + (asked / 4 + 1) * share > log2(ADVANTAGE_MAX):
        asked += 8
    return asked


def upper_tail(trials: int, chance: float, least: int) -> float:
    """P(Binomial(trials, chance) >= least): first term, then each from the one before."""
    if least <= 0:
        return 1.0
    if least > trials:
        return 0.0
    ways = lgamma(trials + 1) - lgamma(least + 1) - lgamma(trials - least + 1)
    term = exp(ways + least * log(chance) + (trials - least) * log1p(-chance))
    total = 0.0
    for hits in range(least, trials + 1):
        total += term
        term *= (trials - hits) / (hits + 1) * chance / (1 - chance)
        if term < total * 1e-17 and hits > trials * chance:
            break
    return min(1.0, total)
