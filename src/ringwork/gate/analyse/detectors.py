"""The detectors of gate specification 3.10: which lines are their events, and how much is too much.

Capacities and leaks are those of CrowdSec's hub (crowdsecurity/hub@b03cb59, MIT); the word lists
are ours. A weight is what one overflow adds to the score of an actor, see ``verdicts``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

from ringwork.gate.analyse.columns import Kind
from ringwork.gate.analyse.targets import Mark

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ringwork.gate.analyse.engine import Engine, PourBuckets

    Flags = NDArray[np.bool_]

Value = Literal["", "file", "path", "query", "agent"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What detectors look at, one element a line."""

    kind: NDArray[np.uint8]
    status: NDArray[np.int16]
    marks: NDArray[np.int64]
    is_get: Flags
    is_head: Flags
    is_post: Flags
    is_connect: Flags
    is_bad_version: Flags
    is_scanner: Flags

    @property
    def is_access(self) -> Flags:
        """Lines of an access log."""
        found: Flags = np.equal(self.kind, int(Kind.ACCESS))
        return found

    def has(self, mark: int) -> Flags:
        """Lines whose target has a mark."""
        found: Flags = np.not_equal(self.marks & mark, 0)
        return found

    def answered(self, *statuses: int) -> Flags:
        """Lines with one of the statuses."""
        found: Flags = np.isin(self.status, statuses) & self.is_access
        return found


class Detector(NamedTuple):
    """One row of the table.

    ``value`` says what must differ between the events of a bucket, empty where nothing must;
    ``per_host`` keeps a bucket for every host that somebody asks.
    """

    name: str
    says: str
    select: Callable[[Seen], Flags]
    capacity: int
    leak_s: float
    blackhole_s: int
    value: Value = ""
    weight: float = 0.6
    per_host: bool = False

    @property
    def shows_agent(self) -> bool:
        """Whether the agent is the evidence, not the target."""
        return self.value == "agent" or self.name == "scanner-agent"

    def buckets(self, engine: Engine) -> PourBuckets:
        """Empty buckets of this kind."""
        return engine.Buckets(
            capacity=self.capacity,
            leak_us=round(self.leak_s * 1_000_000),
            blackhole_us=self.blackhole_s * 1_000_000,
            is_distinct=bool(self.value),
        )


def _is_page(seen: Seen) -> Flags:
    return seen.is_access & ~seen.has(Mark.STATIC)


def _crawl(seen: Seen) -> Flags:
    return _is_page(seen) & (seen.is_get | seen.is_head)


def _probing(seen: Seen) -> Flags:
    return seen.answered(404, 403, 400) & ~seen.has(Mark.STATIC)


def _brute_force(seen: Seen) -> Flags:
    # A refused POST has a detector of its own and is not counted twice.
    return np.equal(seen.kind, int(Kind.AUTH_FAILURE)) | (seen.answered(401) & ~seen.is_post)


def _random_uri(seen: Seen) -> Flags:
    return seen.is_access & seen.is_get & seen.has(Mark.RANDOM_NAME)


def _cache_bypass(seen: Seen) -> Flags:
    return _is_page(seen) & seen.has(Mark.DIGIT_QUERY)


def _open_proxy(seen: Seen) -> Flags:
    return seen.answered(400, 405) & (seen.is_connect | seen.has(Mark.ABSOLUTE))


def _refused(mark: int) -> Callable[[Seen], Flags]:
    return lambda seen: seen.answered(404, 403) & seen.has(mark)


def _marked(mark: int) -> Callable[[Seen], Flags]:
    return lambda seen: seen.is_access & seen.has(mark)


DETECTORS: Final = (
    Detector("crawl", "asks for many pages in a short time", _crawl, 40, 0.5, 60, "file",
             per_host=True),
    Detector("probing", "asks for many things that are not there or not allowed", _probing,
             10, 10, 300, "path", per_host=True),
    Detector("brute-force", "fails to authenticate again and again", _brute_force, 5, 10, 60),
    Detector("brute-force-401", "posts credentials that are refused (401)",
             lambda seen: seen.is_post & seen.answered(401), 5, 10, 60),
    Detector("brute-force-403", "posts what is forbidden (403)",
             lambda seen: seen.is_post & seen.answered(403), 5, 10, 60),
    Detector("brute-force-login", "posts to a login page that is shown again",
             lambda seen: seen.is_post & seen.answered(200) & seen.has(Mark.LOGIN), 5, 10, 60),
    Detector("random-uri-flood", "asks for made-up names", _random_uri, 30, 1, 60),
    Detector("cache-bypass-flood", "adds changing digits so that no cache can answer",
             _cache_bypass, 30, 1, 60, "query"),
    Detector("switching-agents", "calls itself something else all the time",
             lambda seen: seen.is_access, 10, 8, 60, "agent"),
    Detector("user-enumeration", "asks for authors by number", _marked(Mark.AUTHOR), 5, 10, 300,
             "query"),
    Detector("request-limit-exceeded", "was limited by the server and went on",
             lambda seen: np.equal(seen.kind, int(Kind.LIMITED)), 5, 60, 300),
    Detector("invalid-http-version", "names a version of HTTP that does not exist",
             lambda seen: seen.is_access & seen.is_bad_version, 0, 1, 120, weight=0.15),
    Detector("open-proxy-probe", "tries to use the server as a proxy", _open_proxy, 0, 1, 120,
             weight=0.3),
    Detector("scanner-agent", "calls itself a vulnerability scanner",
             lambda seen: seen.is_access & seen.is_scanner, 1, 60, 300),
    Detector("path-traversal", "tries to leave the web root", _marked(Mark.TRAVERSAL), 3, 10, 120,
             "path"),
    Detector("sensitive-files", "asks for files that nobody publishes", _marked(Mark.SENSITIVE),
             4, 5, 300, "path"),
    Detector("sql-injection-probe", "sends fragments of SQL", _marked(Mark.SQL), 10, 1, 60,
             "query"),
    Detector("script-injection-probe", "sends fragments of scripts", _marked(Mark.SCRIPT), 5, 1,
             300, "query"),
    Detector("web-shells", "asks for back doors that others leave", _marked(Mark.SHELL), 1, 5, 300,
             "file"),
    Detector("admin-interfaces", "looks for interfaces of administrators", _refused(Mark.ADMIN),
             2, 10, 300, "path"),
    Detector("wordpress-scan", "looks for parts of WordPress", _refused(Mark.WORDPRESS), 3, 10,
             300, "path"),
)  # fmt: skip
