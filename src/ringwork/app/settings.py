"""What an operator may set.

Every default works; ``ringwork config show --explain`` prints this page.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct, field

from ringwork.ads.exchange.bidders import ExchangeSettings
from ringwork.ads.settings import AdsSettings
from ringwork.ads.special_topics import SPECIAL_TOPICS
from ringwork.ads.supply.settings import SupplySettings
from ringwork.consent.choice.settings import ChoiceSettings
from ringwork.consent.settings import ConsentSettings
from ringwork.consent.subscriptions.settings import SubscriptionSettings
from ringwork.fairness.hec.settings import SpecialAdSettings
from ringwork.fairness.settings import FairnessSettings
from ringwork.kernel.history import Service

_DAY_S: Final = 86_400


class HttpSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the server listens and how much it takes at once."""

    host: Annotated[str, Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535, description="TCP port.")] = 8080
    public_url: Annotated[
        str, Meta(description="Address that others reach it by, for beacons; empty: host and port.")
    ] = ""
    allow_remote: Annotated[
        bool, Meta(description="Listen beyond loopback although the server itself speaks no TLS.")
    ] = False
    concurrency_max: Annotated[
        int, Meta(ge=1, le=10_000, description="Hot requests answered at once; more get 503.")
    ] = 256
    trusted_proxies: Annotated[
        list[str],
        Meta(
            max_length=100,
            description="Networks (CIDR) of proxies whose X-Forwarded-For names the client.",
        ),
    ] = []
    geo_file: Annotated[
        str, Meta(description="MaxMind-DB file for regions of page requests; empty: none.")
    ] = ""
    shutdown_s: Annotated[
        int, Meta(ge=1, le=300, description="Seconds that running requests get at shutdown.")
    ] = 10

    @property
    def public_url_or_own(self) -> str:
        """The address without a trailing slash."""
        return self.public_url.rstrip("/") or f"http://{self.host}:{self.port}"


class LogSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The event log's files."""

    max_file_mib: Annotated[
        int, Meta(ge=1, le=65_536, description="A new log file begins at this size, in MiB.")
    ] = 1024
    max_file_hours: Annotated[
        int, Meta(ge=1, le=8784, description="A new log file begins after this many hours.")
    ] = 24


class HistorySettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept of people's behaviour, and how it becomes interests."""

    retention_days: Annotated[
        int, Meta(ge=1, le=1095, description="Days until what a person did is forgotten.")
    ] = 180
    rows_per_person: Annotated[
        int, Meta(ge=10, le=1000, description="Newest things done, and ads seen, that are kept.")
    ] = 200
    half_life_days: Annotated[
        int, Meta(ge=1, le=365, description="Days after which a thing done counts half.")
    ] = 14
    interests: Annotated[
        int, Meta(ge=0, le=50, description="Topics of a person that become interest audiences.")
    ] = 20

    special_topics: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=32)]],
        Meta(
            max_length=1000,
            description="Topics of your own that reveal special categories of data: no profiles.",
        ),
    ] = field(default_factory=list)

    @property
    def never_profiled(self) -> frozenset[str]:
        """Topics that no profile is made of."""
        return SPECIAL_TOPICS | frozenset(self.special_topics)

    @property
    def retention_s(self) -> int:
        """The retention in seconds."""
        return self.retention_days * _DAY_S

    @property
    def half_life_s(self) -> int:
        """The half-life in seconds."""
        return self.half_life_days * _DAY_S


class ConsoleSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The web console."""

    enabled: Annotated[bool, Meta(description="Serve the console under /console/.")] = True
    session_hours: Annotated[
        int, Meta(ge=1, le=720, description="How long a sign-in lasts, in hours.")
    ] = 12


class ClockSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A world's clock instead of the machine's: for demos, never for real money."""

    real_start_us: Annotated[int, Meta(description="Machine time at which the world begins, us.")]
    world_start_us: Annotated[int, Meta(description="World time at that moment, us.")]
    world_end_us: Annotated[
        int, Meta(description="World time from which it runs in real time, us.")
    ]
    speed: Annotated[
        int, Meta(ge=1, le=100_000, description="World seconds per second until then.")
    ]


class LoggingSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Log lines for operators, on stderr."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least severe line.")
    ] = "info"


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole tree."""

    data: Annotated[str, Meta(description="Data directory: log, state, keys, secrets.")] = (
        "./ringwork-data"
    )
    tenant: Annotated[
        str, Meta(pattern="^[a-z0-9-]{1,32}$", description="Name that events carry.")
    ] = "main"
    services: Annotated[
        list[Service],
        Meta(
            min_length=1,
            max_length=20,
            description="Core services whose data are kept apart; each may tell what people did.",
        ),
    ] = field(default_factory=lambda: ["main"])
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    history: HistorySettings = HistorySettings()
    ads: AdsSettings = AdsSettings()
    exchange: ExchangeSettings = ExchangeSettings()
    supply: SupplySettings = SupplySettings()
    choice: ChoiceSettings = ChoiceSettings()
    subscriptions: SubscriptionSettings = SubscriptionSettings()
    consent: ConsentSettings = ConsentSettings()
    special_ads: SpecialAdSettings = SpecialAdSettings()
    fairness: FairnessSettings = FairnessSettings()
    console: ConsoleSettings = ConsoleSettings()
    logging: LoggingSettings = LoggingSettings()
    clock: ClockSettings | None = None

    @property
    def domain(self) -> str:
        """The platform's own domain, as an advertising system (``asi``)."""
        host = urlsplit(self.http.public_url_or_own).hostname
        return self.supply.domain or host or self.http.host

    @property
    def data_path(self) -> Path:
        """The data directory."""
        return Path(self.data)
