"""``ringwork verify``: the nine promises, checked."""

from __future__ import annotations

import time

import msgspec

from ringwork.cli.common import DEFAULTS, Options
from ringwork.cli.progress import counting
from ringwork.kernel.errors import ConfigurationError


def verify(*, common: Options = DEFAULTS) -> int:
    """Check I1 to I9 on the data directory; exit 1 when one is broken.

    Works on a stopped directory and read-only on a live one.

    Example: ringwork verify --json
    """
    data = common.settings().data_path
    if not (data / "log").exists():
        raise ConfigurationError(f"{data}: no event log here; give --data DIR")
    from ringwork.app.verify import check_all, keep  # noqa: PLC0415  # loads every part

    started_ns = time.monotonic_ns()
    with counting() as progress:
        promises = check_all(data, progress)
    keep(
        data,
        promises,
        took_s=(time.monotonic_ns() - started_ns) / 1e9,
        ts_us=time.time_ns() // 1000,
    )
    for promise in promises:
        state = "holds" if not promise.violations else f"BROKEN {promise.violations} times"
        text = (
            f"{promise.name}  {promise.title:<34} {promise.checked:>12,} {promise.unit:<12}{state}"
        )
        common.show(msgspec.to_builtins(promise), "\n      ".join([text, *promise.detail]))
    return 1 if any(promise.violations for promise in promises) else 0
