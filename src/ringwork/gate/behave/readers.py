"""One reader behind many addresses: each does little, together they read everything once.

Whoever reads a site through hundreds of addresses has them share the work, so no two fetch the same
page; strangers with the same program meet at the pages that everybody wants.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ringwork.gate.behave.habits import AT
from ringwork.gate.behave.judge import REQUESTS_MIN, Judged

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Longs = NDArray[np.int64]

RULE: Final = "distributed-reader"
WEIGHT: Final = 0.5
MEMBERS: Final = 10
PAGES: Final = 200
REPEATS: Final = 0.02
"""Of what one has read, the share that another one read too; people's is ten times that."""
CROWD: Final = 1 / 3
"""Where more than this share of all actors read like that, it is how this site is read."""
SPAN_S: Final = 6 * 3600


def distributed_readers(
    rows: NDArray[np.float32], agents: Longs, readers: Longs, pages: Longs
) -> list[Judged]:
    """Reasons against the rows of such groups.

    ``agents`` is a code for the agent of each of float32[rows, 40]; ``readers`` and ``pages`` say
    which row read which page, each pair once, pages that came with a referrer left out.
    """
    bare = (
        (rows[:, AT["requests"]] >= REQUESTS_MIN)
        & (rows[:, AT["asset_share"]] <= 0.05)
        & (rows[:, AT["referrer_share"]] <= 0.05)
        & (rows[:, AT["distinct_share"]] >= 0.8)
    )
    kept = bare[readers]
    readers, pages = readers[kept], pages[kept]
    count = int(agents.max(initial=-1)) + 1
    total = np.bincount(agents[readers], minlength=count)
    members = np.bincount(agents[bare], minlength=count)
    _, firsts = np.unique(np.column_stack((agents[readers], pages)), axis=0, return_index=True)
    different = np.bincount(agents[readers[firsts]], minlength=count)
    spans = np.zeros(count)
    np.maximum.at(spans, agents[bare], rows[bare, AT["duration_s"]].astype(np.float64))
    found = (
        (members >= MEMBERS) & (total >= PAGES) & (total - different <= REPEATS * total)
        & (spans >= SPAN_S)
    )  # fmt: skip
    accused = np.flatnonzero(bare & found[agents])
    if len(accused) > CROWD * int((rows[:, AT["requests"]] >= REQUESTS_MIN).sum()):
        return []
    return [
        Judged(
            row,
            RULE,
            f"{members[agents[row]]:,} actors with this agent read {total[agents[row]]:,} pages, "
            f"{(total - different)[agents[row]]:,} of them twice",
            WEIGHT,
        )
        for row in accused.tolist()
    ]
