"""A block whose texts are numbers: every different agent, target and method is looked at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ringwork.gate.analyse import words
from ringwork.gate.analyse.agents import Agent, read
from ringwork.gate.analyse.columns import AGENT, HOST, METHOD, PROTOCOL, TARGET
from ringwork.gate.analyse.detectors import Seen
from ringwork.gate.analyse.targets import Target, look

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ringwork.gate.analyse.columns import Columns
    from ringwork.gate.analyse.engine import Engine

    Longs = NDArray[np.int64]

REMEMBERED_MAX: Final = 1 << 16
"""Targets and agents whose look is kept from one block to the next."""
AGENT_MAX_BYTES: Final = 200
"""Of an agent's text this much is kept."""


@dataclass(frozen=True, slots=True)
class Coded:
    """``codes`` number the values of each line; the lists hold what the values are."""

    columns: Columns
    agent_codes: Longs
    agents: list[tuple[bytes, Agent]]
    target_codes: Longs
    targets: list[Target]
    host_marks: Longs | None
    """A keyed hash of the host of every line, 0 for none; None where the block names none."""
    seen: Seen

    def text(self, row: int, field: int) -> bytes:
        """One field of one line."""
        columns = self.columns
        return columns.buffer[columns.starts[row, field] : columns.ends[row, field]]

    def differing(self, value: str) -> Longs:
        """What detectors compare, for every line; all the same for the empty name."""
        if value == "agent":
            return np.array([one.value for _, one in self.agents], np.int64)[self.agent_codes]
        if value == "":
            return np.zeros(len(self.columns), np.int64)
        found = [getattr(one, value) for one in self.targets]
        return np.array(found, np.int64)[self.target_codes]


class Coder:
    """Looks at texts, and remembers the last ones."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._targets: dict[bytes, Target] = {}
        self._agents: dict[bytes, tuple[bytes, Agent]] = {}

    def encode(self, columns: Columns, field: int) -> tuple[Longs, list[bytes]]:
        """The code of every line, and the text of every code."""
        codes, firsts = self._engine.encode(columns, field)
        places = zip(
            columns.starts[firsts, field].tolist(), columns.ends[firsts, field].tolist(),
            strict=True,
        )  # fmt: skip
        return codes, [columns.buffer[start:end] for start, end in places]

    def code(self, columns: Columns) -> Coded:
        """A block, looked at."""
        agent_codes, texts = self.encode(columns, AGENT)
        agents = [self._agent(one) for one in texts]
        target_codes, texts = self.encode(columns, TARGET)
        targets = [self._target(one) for one in texts]
        method_codes, methods = self.encode(columns, METHOD)
        version_codes, versions = self.encode(columns, PROTOCOL)

        def is_method(name: bytes) -> NDArray[np.bool_]:
            return np.array([one == name for one in methods], np.bool_)[method_codes]

        bad = np.array([one not in words.HTTP_VERSIONS for one in versions], np.bool_)
        scanners = np.array([one.is_scanner for _, one in agents], np.bool_)
        seen = Seen(
            kind=columns.kind,
            status=columns.status,
            marks=np.array([one.marks for one in targets], np.int64)[target_codes],
            is_get=is_method(b"GET"),
            is_head=is_method(b"HEAD"),
            is_post=is_method(b"POST"),
            is_connect=is_method(b"CONNECT"),
            is_bad_version=bad[version_codes],
            is_scanner=scanners[agent_codes],
        )
        return Coded(
            columns, agent_codes, agents, target_codes, targets, self._hosts(columns), seen
        )

    def _hosts(self, columns: Columns) -> Longs | None:
        if not (columns.ends[:, HOST] > columns.starts[:, HOST]).any():
            return None
        codes, hosts = self.encode(columns, HOST)
        return np.array([hash(one) if one else 0 for one in hosts], np.int64)[codes]

    def _agent(self, agent: bytes) -> tuple[bytes, Agent]:
        known = self._agents.get(agent)
        if known is None:
            if len(self._agents) >= REMEMBERED_MAX:
                self._agents.clear()
            known = self._agents[agent] = (agent[:AGENT_MAX_BYTES], read(agent))
        return known

    def _target(self, target: bytes) -> Target:
        known = self._targets.get(target)
        if known is None:
            if len(self._targets) >= REMEMBERED_MAX:
                self._targets.clear()
            known = self._targets[target] = look(target)
        return known
