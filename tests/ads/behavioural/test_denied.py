"""Denied reads of history as a table: the same sums in whatever batches the log is read."""

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.ads.behavioural.events import GrantDenied
from ringwork.ads.behavioural.projections import AdDenied, denied, metadata
from ringwork.kernel.events import Recorded

DAY_US = 86_400_000_000


def test_denied_reads_of_a_month_by_hand():
    engine = sa.create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.begin() as connection:
        said = [("ended", 1), ("tier", 1), ("ended", 1), ("uncounted", 40)]
        AdDenied().apply(
            connection,
            [
                Recorded(
                    0, seq, b"", 5 * DAY_US, b"r", None, "main", None, None,
                    GrantDenied("advertise", "main", reason, count),
                )
                for seq, (reason, count) in enumerate(said)
            ],
        )  # fmt: skip
        found = denied(connection, since_day=5, limit=9)
        assert [(row.reason, row.count) for row in found] == [
            ("uncounted", 40), ("ended", 2), ("tier", 1),
        ]  # fmt: skip
        assert denied(connection, since_day=6, limit=9) == []
        AdDenied().clear(connection)
        assert denied(connection, since_day=0, limit=9) == []
    engine.dispose()


@given(
    said=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["ended", "tier"]), st.integers(1, 9)),
        max_size=20,
    ),
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4),
)
@settings(max_examples=20)
def test_denied_reads_are_summed_by_what_was_denied(said, sizes):
    events = [
        Recorded(
            0, seq, b"", day * 86_400_000_000, b"r", None, "main", None, None,
            GrantDenied("advertise", "main", reason, count),
        )
        for seq, (day, reason, count) in enumerate(said, 1)
    ]  # fmt: skip
    engine = sa.create_engine("sqlite://")
    metadata.create_all(engine)
    connection = engine.connect()
    rest, number = events, 0
    while rest:
        size = sizes[number % len(sizes)]
        AdDenied().apply(connection, rest[:size])
        rest, number = rest[size:], number + 1
    for since in (0, 2):
        wanted = {
            reason: total
            for reason in ("ended", "tier")
            if (total := sum(n for day, why, n in said if why == reason and day >= since))
        }
        found = denied(connection, since_day=since, limit=9)
        assert {row.reason: row.count for row in found} == wanted
        assert [row.count for row in found] == sorted(wanted.values(), reverse=True)
    assert len(denied(connection, since_day=0, limit=1)) <= 1
    connection.close()
    engine.dispose()
