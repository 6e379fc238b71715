"""A log, read once: who is in it, what they did, and how sure that makes us.

Memory is that of the actors, of the buckets that are not empty and of one block, whatever the
length of the log.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ringwork.gate.analyse.actors import Actors, By, printable
from ringwork.gate.analyse.behaviour import Behaviour
from ringwork.gate.analyse.blocks import LINE_MAX_BYTES, blocks
from ringwork.gate.analyse.coded import Coded, Coder
from ringwork.gate.analyse.collusion import Collusion
from ringwork.gate.analyse.columns import ADDRESS, AGENT, TARGET, USER
from ringwork.gate.analyse.detectors import DETECTORS, Detector
from ringwork.gate.analyse.engine import SAMPLES, Engine, engine_for, parse_block, warm
from ringwork.gate.analyse.findings import (
    Actor,
    Cluster,
    DeclaredBot,
    Identity,
    Reason,
    Scanned,
    Span,
    Totals,
    moment,
)
from ringwork.gate.analyse.formats import detect, has_cri_prefix, held_back, without_cri
from ringwork.gate.analyse.verdicts import score, verdict
from ringwork.gate.behave.readers import distributed_readers

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ringwork.gate.analyse.blocks import Readable
    from ringwork.gate.behave.judge import Judge
    from ringwork.gate.collude import Cluster as Colluding

    Longs = NDArray[np.int64]

LISTED_MAX: Final = 10_000
"""Actors in a report: all that stand out, then the busiest up to this many."""
BOTS_MAX: Final = 1_000
"""Names of machines that are counted; names are free, so there must be an end."""
HOUR_US: Final = 3_600_000_000
HOURS_MAX: Final = 100_000
"""Hours that are drawn, eleven years of them; a hostile log may name any time."""
CLUSTER_RULE: Final = "cluster"
CLUSTER_WEIGHT: Final = 0.8
"""The test against chance stands behind it: enough to degrade by itself, not to block."""
_SAMPLE_BYTES: Final = 1 << 16


@dataclass(slots=True)
class _Found:
    events: int
    overflows: int
    example: str
    weight: float


class Scanner:
    """Takes a log block by block; ``result`` may be asked at any time."""

    def __init__(
        self,
        *,
        by: By = "ip",
        shape: str = "auto",
        engine: Engine | None = None,
        actors: Actors | None = None,
        behaviour: Behaviour | None = None,
        judge: Judge | None = None,
    ) -> None:
        self.actors = Actors() if actors is None else actors
        self.totals = Totals()
        self.lines = self.parsed = 0
        self._by = by
        self._named = shape
        self._shape = self.totals.shape = shape
        self._partial = b""
        self._engine = warm() if engine is None else engine
        self._coder = Coder(self._engine)
        if judge is not None and behaviour is None:
            behaviour = Behaviour()
        self._behaviour = behaviour
        self._judge = judge
        self._collusion = Collusion() if by == "user" else None
        self._buckets = [(one, one.buckets(self._engine)) for one in DETECTORS]
        self._found: dict[int, dict[str, _Found]] = {}
        self._declared: Counter[str] = Counter()
        self._first_us = int(np.iinfo(np.int64).max)
        self._last_us = int(np.iinfo(np.int64).min)

    def feed(self, block: bytes, too_long: int = 0) -> None:
        """Takes whole lines, the last ending with a newline.

        ``too_long`` is how many longer ones were left out.
        """
        if self._partial or has_cri_prefix(block):
            block, self._partial = held_back(self._partial + block)
            if len(self._partial) > LINE_MAX_BYTES:
                self._partial, too_long = b"", too_long + 1
            block = without_cri(block)
        if self._shape == "auto":
            self._shape = self.totals.shape = detect(block[:_SAMPLE_BYTES])
        columns = parse_block(block, self._shape, named=self._named, engine=self._engine)
        self.lines += len(columns) + columns.skipped + too_long
        self.parsed += len(columns)
        room = SAMPLES - len(self.totals.samples)
        self.totals.samples += [printable(one) for one in columns.samples[:room]]
        if not len(columns):
            return
        coded = self._coder.code(columns)
        codes, texts = self._coder.encode(columns, ADDRESS)
        addresses = self.actors.of_addresses(texts)[codes]
        numbers = self._actors_of(coded, addresses)
        if self._collusion is not None:
            is_user = numbers != addresses
            self._collusion.take(numbers[is_user], addresses[is_user], columns.ts_us[is_user])
        self._count(coded, numbers)
        if self._behaviour is not None:
            self._behaviour.take(coded, numbers, self._engine)
        self._pour(coded, numbers)

    def result(self) -> Scanned:
        """Everybody so far, whoever stands out first."""
        requests = self.actors.requests
        clusters = self._collusion.clusters(self.actors.names) if self._collusion else []
        findings = self._with_clusters(self._with_behaviour(), clusters)
        judged = [(_score(found), number) for number, found in findings.items()]
        judged.sort(key=lambda one: (-one[0], -int(requests[one[1]]), self.actors.names[one[1]]))
        # An address that only stands behind users or visits has no lines of its own.
        is_quiet = requests[: len(self.actors)] > 0
        is_quiet[list(findings)] = False
        quiet = np.flatnonzero(is_quiet)
        order = [number for _, number in judged]
        busiest = quiet[np.argsort(-requests[quiet], kind="stable")]
        rest = busiest[: max(0, LISTED_MAX - len(order))].tolist()
        order += sorted(rest, key=lambda one: (-int(requests[one]), self.actors.names[one]))
        claimed = Counter(self.actors.claims.values())
        has_times = self.parsed > 0
        return Scanned(
            lines=self.lines,
            parsed=self.parsed,
            skipped=self.lines - self.parsed,
            span=Span(
                moment(self._first_us) if has_times else None,
                moment(self._last_us) if has_times else None,
            ),
            actors=tuple(self._actor(number, findings.get(number)) for number in order),
            clusters=tuple(
                Cluster(
                    f"cluster-{place}",
                    tuple(self.actors.names[one] for one in found.members.tolist()),
                    evidence,
                )
                for place, (found, evidence) in enumerate(clusters, start=1)
            ),
            declared_bots=tuple(
                DeclaredBot(name, claimed[name], count)
                for name, count in self._declared.most_common()
            ),
        )

    def _with_behaviour(self) -> dict[int, dict[str, _Found]]:
        """What was found, and what the judge says of everybody now, of which nothing is kept."""
        if self._judge is None or self._behaviour is None:
            return self._found
        out = {number: dict(rules) for number, rules in self._found.items()}
        requests = self._behaviour.requests()
        features = self._behaviour.features()
        judged = self._judge.reasons(features) + distributed_readers(
            features, self._behaviour.agent_codes(), *self._behaviour.pages()
        )
        for row, rule, shows, weight in judged:
            rules = out.setdefault(self._behaviour.pairs[row][0], {})
            count = int(requests[row])
            if rule not in rules or rules[rule].events < count:
                rules[rule] = _Found(count, 1, shows, weight)
        return out

    def _with_clusters(
        self,
        findings: dict[int, dict[str, _Found]],
        clusters: list[tuple[Colluding, tuple[str, ...]]],
    ) -> dict[int, dict[str, _Found]]:
        out = dict(findings)
        for place, (found, evidence) in enumerate(clusters, start=1):
            for number in found.members.tolist():
                count = int(self.actors.requests[number])
                why = _Found(count, 1, f"cluster-{place}: {evidence[0]}", CLUSTER_WEIGHT)
                out[number] = {**out.get(number, {}), CLUSTER_RULE: why}
        return out

    def _actors_of(self, coded: Coded, numbers: Longs) -> Longs:
        """The actor of every line; ``numbers`` are those of the addresses."""
        columns, actors = coded.columns, self.actors
        if self._by == "user":
            # What was refused proves no account: else anybody could blame another by name.
            proven = coded.seen.is_access & (columns.status != 401)
            proven &= columns.ends[:, USER] > columns.starts[:, USER]
            codes, names = self._coder.encode(columns, USER)
            is_used = np.bincount(codes[proven], minlength=len(names)) > 0
            users = [
                actors.of_user(name) if used else -1
                for name, used in zip(names, is_used.tolist(), strict=True)
            ]
            return np.where(proven, np.array(users, np.int64)[codes], numbers)
        if self._by == "visit":
            pairs, inverse = np.unique(_pairs(coded, numbers), return_inverse=True)
            kinds = len(coded.agents)
            visits = [
                actors.of_visit(pair // kinds, coded.agents[pair % kinds][0])
                for pair in pairs.tolist()
            ]
            return np.array(visits, np.int64)[inverse]
        return numbers

    def _count(self, coded: Coded, numbers: Longs) -> None:
        columns, agents, totals = coded.columns, coded.agents, self.totals
        ts_us, status = columns.ts_us, columns.status
        self._first_us = min(self._first_us, int(ts_us.min()))
        self._last_us = max(self._last_us, int(ts_us.max()))
        self.actors.add(numbers, ts_us)
        pairs, firsts = np.unique(_pairs(coded, numbers), return_index=True)
        in_order = pairs[np.argsort(firsts)]
        self.actors.saw(in_order // len(agents), in_order % len(agents), agents)
        by_agent = np.bincount(coded.agent_codes, minlength=len(agents)).tolist()
        for (_, agent), count in zip(agents, by_agent, strict=True):
            name = agent.claims
            if name and (name in self._declared or len(self._declared) < BOTS_MAX):
                self._declared[name] += count
        totals.size += int(columns.size.sum())
        is_access = coded.seen.is_access
        statuses, counts = np.unique(status[is_access], return_counts=True)
        totals.statuses.update(dict(zip(statuses.tolist(), counts.tolist(), strict=True)))
        hours = (ts_us[is_access] // HOUR_US) * 10 + status[is_access] // 100
        keys, counts = np.unique(hours, return_counts=True)
        for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
            hour = key // 10
            if hour in totals.hours or len(totals.hours) < HOURS_MAX:
                totals.hours.setdefault(hour, Counter())[key % 10] += count

    def _pour(self, coded: Coded, numbers: Longs) -> None:
        """Lets every detector see its events."""
        ts_us, hosts = coded.columns.ts_us, coded.host_marks
        for detector, buckets in self._buckets:
            rows = np.flatnonzero(detector.select(coded.seen))
            if not len(rows):
                continue
            groups = numbers[rows]
            if detector.per_host and hosts is not None:
                # Hosts are keyed hashes: nobody can choose one to share a bucket.
                groups = groups ^ hosts[rows]
            values = coded.differing(detector.value)[rows]
            for overflow in buckets.pour(groups, values, ts_us[rows]):
                row = int(rows[overflow.position])
                text = coded.text(row, AGENT if detector.shows_agent else TARGET)
                self._note(int(numbers[row]), detector, overflow.events, text)
                hour = int(ts_us[row]) // HOUR_US
                if hour in self.totals.overflows or len(self.totals.overflows) < HOURS_MAX:
                    self.totals.overflows[hour] += 1

    def _note(self, number: int, detector: Detector, events: int, text: bytes) -> None:
        self.totals.rules[detector.name] += 1
        rules = self._found.setdefault(number, {})
        found = rules.get(detector.name)
        if found is None:
            rules[detector.name] = _Found(events, 1, printable(text), detector.weight)
        else:
            found.events += events
            found.overflows += 1

    def _actor(self, number: int, found: dict[str, _Found] | None) -> Actor:
        actors = self.actors
        value = _score(found) if found else 0.0
        return Actor(
            actor=actors.names[number],
            score=value,
            verdict=verdict(value, is_account=actors.is_account(number)),
            requests=int(actors.requests[number]),
            first=moment(int(actors.first_us[number])),
            last=moment(int(actors.last_us[number])),
            reasons=_reasons(found) if found else (),
            identity=Identity(
                agent=printable(actors.first_agent_of(number)),
                agents=actors.agents_of(number),
                declared=actors.claims.get(number),
            ),
        )


def scan(
    file: Readable,
    *,
    by: By = "ip",
    shape: str = "auto",
    behaviour: Behaviour | None = None,
    judge: Judge | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Scanner:
    """Reads a whole log; ``progress`` is called after every block.

    ``behaviour`` collects features for a model while it goes by; ``judge`` adds what they say.
    """
    scanner: Scanner | None = None
    for block in blocks(file):
        if scanner is None:
            engine = engine_for(len(block.lines))
            scanner = Scanner(by=by, shape=shape, engine=engine, behaviour=behaviour, judge=judge)
        scanner.feed(block.lines, block.too_long)
        progress()
    return scanner or Scanner(
        by=by, shape=shape, engine=engine_for(0), behaviour=behaviour, judge=judge
    )


def _score(found: dict[str, _Found]) -> float:
    return score((one.weight, one.overflows) for one in found.values())


def _reasons(found: dict[str, _Found]) -> tuple[Reason, ...]:
    """The heaviest first."""
    order = sorted(found.items(), key=lambda one: (-one[1].weight, -one[1].events, one[0]))
    return tuple(Reason(name, one.events, one.example) for name, one in order)


def _pairs(coded: Coded, numbers: Longs) -> Longs:
    """Actor and agent of every line as one number."""
    return numbers * len(coded.agents) + coded.agent_codes
