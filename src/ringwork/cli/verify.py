"""``ringwork verify``: the nine promises, checked."""

from __future__ import annotations

import sys
import time

import msgspec

from ringwork.app.call import store_of
from ringwork.cli.options import DEFAULTS, Options
from ringwork.cli.progress import counting


def verify(*, options: Options = DEFAULTS) -> int:
    """Check I1 to I9 on the data directory; exit 1 when one is broken.

    Works on a stopped directory and read-only on a live one.

    Example: ringwork verify --json
    """
    data = store_of(options.settings())
    from ringwork.app.verify import check_all, keep  # noqa: PLC0415  # loads every part

    started_ns = time.monotonic_ns()
    with counting() as progress:
        promises = check_all(data, progress)
    took_s = (time.monotonic_ns() - started_ns) / 1e9
    for promise in promises:
        state = "holds" if not promise.violations else f"BROKEN {promise.violations} times"
        text = (
            f"{promise.name}  {promise.title:<34} {promise.checked:>12,} {promise.unit:<12}{state}"
        )
        options.show(msgspec.to_builtins(promise), "\n      ".join([text, *promise.detail]))
    try:
        keep(data, promises, took_s=took_s, ts_us=time.time_ns() // 1000)
    except OSError as error:  # an auditor's copy may be read-only; what was found stands
        print(f"ringwork: the console will not show this: {error}", file=sys.stderr)
    return 1 if any(promise.violations for promise in promises) else 0
