"""The policy: who may have how much of what, as data.

Every limit, price, exemption and answer of the gate stands in here; the code has none of its own.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

PART_NAMES: Final = ("ip", "net", "asn", "account", "app", "ad_account", "device", "visit", "route")
Part = Literal["ip", "net", "asn", "account", "app", "ad_account", "device", "visit", "route"]
"""Of a key. ``ip``: one IPv4 address or IPv6 /64; ``net``: a /24 or /48."""
Action = Literal["slow", "challenge", "degrade", "block"]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
Seconds = Annotated[float, Meta(gt=0, le=400 * 86_400)]
Route = Annotated[str, Meta(min_length=1, max_length=500)]
Units = Annotated[int, Meta(ge=1, le=2**53)] | Annotated[str, Meta(min_length=1, max_length=500)]
"""A number, or a formula over counters that the platform supplies (``policy.formula``)."""


class Strict(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the policy's parts share: a member that nobody reads is a mistake somebody made."""


class CellLimit(Strict, frozen=True, tag="gcra", tag_field="kind"):
    """See ``limits.Gcra``."""

    limit: Units
    period_s: Seconds
    burst: Annotated[int, Meta(ge=1)] | None = None


class ScoreLimit(Strict, frozen=True, tag="score", tag_field="kind"):
    """See ``limits.MetaScore``."""

    maximum: Units
    window_s: Seconds
    block_s: Seconds
    decay: Literal["window", "linear"] = "window"


class WindowLimit(Strict, frozen=True, tag="window", tag_field="kind"):
    """See ``limits.SlidingWindow``."""

    limit: Units
    window_s: Seconds


class ConcurrentLimit(Strict, frozen=True, tag="concurrent", tag_field="kind"):
    """See ``limits.Concurrent``."""

    limit: Annotated[int, Meta(ge=1, le=1_000_000)]
    timeout_s: Seconds = 60


class VolumeLimit(Strict, frozen=True, tag="volume", tag_field="kind"):
    """See ``limits.Volume``."""

    limit: Annotated[int, Meta(ge=1, le=2**53)]
    period_s: Seconds
    burst: Annotated[int, Meta(ge=1)] | None = None
    unit: Literal["rows", "bytes"] = "rows"


class DistinctLimit(Strict, frozen=True, tag="distinct", tag_field="kind"):
    """See ``limits.Distinct``."""

    limit: Annotated[int, Meta(ge=1, le=2**53)]
    window_s: Seconds
    precision: Annotated[int, Meta(ge=4, le=16)] = 12


LimitOf = CellLimit | ScoreLimit | WindowLimit | ConcurrentLimit | VolumeLimit | DistinctLimit


class Cost(Strict, frozen=True):
    """What a request costs. All that is given is added up, and rounded up to a whole unit."""

    read: Annotated[int, Meta(ge=0)] = 0
    """GET, HEAD, OPTIONS."""
    write: Annotated[int, Meta(ge=0)] = 0
    rows: Annotated[float, Meta(ge=0)] = 0.0
    """Of each row that is asked for (``Facts.estimate``); what came is settled by volumes only."""
    field: str = ""
    """A list of ids in the request, of which each costs ``each``."""
    each: Annotated[float, Meta(ge=0)] = 0.0


class Match(Strict, frozen=True):
    """Which requests a rule is for."""

    route: Route | Annotated[tuple[Route, ...], Meta(min_length=1, max_length=50)] = "*"
    """``*`` matches any run of characters. Of several, any."""
    method: tuple[str, ...] = ()
    """Empty: any."""
    tier: str = "*"


class MetaAnswer(Strict, frozen=True):
    """What Meta's API would say: the error, and in which usage header the limit stands."""

    code: int
    subcode: int | None = None
    title: str = ""
    message: str = ""
    header: Literal["", "app", "ad_account", "insights", "business"] = ""
    type: str = ""
    """Of a business use case: ads_management, ads_insights, ..."""


class Over(Strict, frozen=True):
    """What happens beyond the limit."""

    action: Action = "block"
    status: Annotated[int, Meta(ge=400, le=599)] = 429
    """Of ``block``. A challenge is always a 403 (``respond.challenge``)."""
    profile: Literal["problem", "meta"] = "problem"
    meta: MetaAnswer | None = None
    delay_s: Annotated[float, Meta(gt=0, le=2)] = 1.0
    """Of ``slow``."""
    rows_max: Annotated[int, Meta(ge=0)] | None = None
    """Of ``degrade``: rows that the answer may hold."""
    without: tuple[str, ...] = ()
    """Of ``degrade``: members that the answer must not hold."""


class Rule(Strict, frozen=True):
    """One limit."""

    name: Name
    key: Annotated[tuple[Part, ...], Meta(min_length=1, max_length=6)]
    limit: LimitOf
    match: Match = field(default_factory=Match)
    cost: Annotated[int, Meta(ge=0)] | Cost = 1
    over: Over = field(default_factory=Over)
    fail: Literal["open", "closed"] = "open"
    """When a shared store is down."""
    strict: bool = False
    """Counted in the shared store on every request, without leases."""
    shadow: bool = False
    """Counted and told, never enforced."""
    rollout: Annotated[float, Meta(gt=0, le=1)] | None = None
    """On trial: enforced for this share of actors, and taken back into shadow by itself where it
    refuses too many good ones (``Friction``). None: established."""
    expose: bool = True
    """Whether clients are told of it."""
    evidence: Annotated[float, Meta(gt=0, le=1)] | None = None
    """The share of innocent actors who go past it, as measured: it is a witness for the ladder
    then, which decides instead of ``over``."""


class Identity(Strict, frozen=True):
    """Where in a request it stands who asks: ``header:NAME`` or ``cookie:NAME``; empty: nowhere."""

    account: str = ""
    app: str = ""
    ad_account: str = ""
    device: str = ""
    visit: str = ""
    tier: str = ""
    ja4: str = ""
    """Headers that a proxy sets; from anybody else they are ignored."""
    default_tier: str = ""
    """Of a request that says none."""


class Trust(Strict, frozen=True):
    """Who is believed about the client's address: networks, or how many proxies there are."""

    proxies: tuple[str, ...] = ()
    hops: Annotated[int, Meta(ge=0, le=16)] | None = None


class Probes(Strict, frozen=True):
    """A refused call costs nothing, so that nobody is starved; but asking on is counted here."""

    limit: Annotated[int, Meta(ge=1)] = 300
    period_s: Seconds = 60
    block_s: Seconds = 300


class Challenge(Strict, frozen=True):
    """Proof of work: what is asked of whom ``challenge`` meets, and what it is worth."""

    cost: Annotated[int, Meta(ge=1, le=100_000)] = 1000
    """Iterations of one try, and of our check."""
    prefix: Annotated[str, Meta(pattern=r"^[0-9a-f]{1,6}$")] = "00"
    """Of what a try must come to: each digit is 16 times the tries."""
    lifetime_s: Annotated[int, Meta(ge=30, le=86_400)] = 600
    clearance_s: Annotated[int, Meta(ge=60, le=30 * 86_400)] = 3600
    """For how long who has solved one is not asked again."""
    path: Annotated[str, Meta(pattern=r"^/[A-Za-z0-9._~/-]{1,100}$")] = "/.gate"
    """Below it the gate answers itself: ``/challenge`` and ``/solve``."""
    cookie: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "__Host-gate"
    header: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,64}$")] = "x-gate-clearance"
    """Of clients that keep no cookies."""
    contact: Annotated[str, Meta(pattern=r"^((mailto:|https://)[!-~]{3,300})?$")] = ""
    """Whom people write to who cannot do it."""


class Ladder(Strict, frozen=True):
    """From evidence to an action (``respond.ladder``).

    The budgets are the shares of innocent actors who may be met by each rung or a higher one; 0
    takes a rung away.
    """

    slow: Annotated[float, Meta(ge=0, le=1)] = 0.05
    challenge: Annotated[float, Meta(ge=0, le=1)] = 0.01
    degrade: Annotated[float, Meta(ge=0, le=1)] = 0.002
    block: Annotated[float, Meta(ge=0, le=1)] = 0.0005
    delay_s: Annotated[float, Meta(gt=0, le=2)] = 1.0
    rows_max: Annotated[int, Meta(ge=0)] | None = 20
    without: tuple[str, ...] = ("email", "phone", "birthday")
    block_s: Seconds = 300
    """What a blocked client is told to wait; its evidence is judged anew with each request."""
    shadow: bool = True
    """Said, never done: how every new model starts."""
    rollout: Annotated[float, Meta(gt=0, le=1)] | None = 0.01


class Friction(Strict, frozen=True):
    """When something on trial has refused too many who are known to be good."""

    budget: Annotated[float, Meta(gt=0, lt=0.2)] = 0.001
    """The share of good actors that it may refuse in a window."""
    window_s: Seconds = 3600
    """In which an actor counts once."""
    false_alarm: Annotated[int, Meta(ge=100, le=10**9)] = 100_000
    """Good actors and windows between two alarms while the budget is kept, at least."""
    tiers: tuple[str, ...] = ()
    """Whose actors are known to be good. Who has merely done nothing else is not: an attacker could
    switch a rule off."""


class Policy(Strict, frozen=True):
    """All of it."""

    version: Literal[1] = 1
    trust: Trust = field(default_factory=Trust)
    identity: Identity = field(default_factory=Identity)
    rules: Annotated[tuple[Rule, ...], Meta(max_length=1000)] = ()
    probes: Probes = field(default_factory=Probes)
    challenge: Challenge = field(default_factory=Challenge)
    ladder: Ladder | None = None
    friction: Friction = field(default_factory=Friction)
    keys_max: Annotated[int, Meta(ge=1000, le=10**8)] = 1_000_000
    """Of each rule."""

    @staticmethod
    def parse(text: bytes, *, where: str) -> Policy:
        """See ``policy.load.parse_policy``."""
        from ringwork.gate.policy.load import parse_policy  # noqa: PLC0415 # which reads these

        return parse_policy(text, where=where)

    @staticmethod
    def load(path: str) -> Policy:
        """A policy's file. OSError, or Refused (policy-invalid) that names line and key."""
        with open(path, "rb") as file:  # noqa: PTH123 # the library's own door: pathlib is not here
            return Policy.parse(file.read(), where=path)

    @staticmethod
    def preset(name: str) -> Policy:
        """A packaged policy. Refused (policy-invalid) with the names there are."""
        from ringwork.gate.policy.load import preset  # noqa: PLC0415 # as above

        return preset(name)
