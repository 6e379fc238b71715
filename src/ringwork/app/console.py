"""The console's sources: what its pages read from, in this process."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from litestar.types import ControllerRouterHandler

from ringwork.ads.catalogue import Catalogue
from ringwork.ads.http_reports import ReportsApi
from ringwork.app.fairness_live import LiveLog
from ringwork.app.platform import Platform
from ringwork.app.settings import Settings
from ringwork.app.verify import VERIFICATION
from ringwork.consent.http import ConsentApi
from ringwork.consent.inspection import Inspection
from ringwork.console.commands import Commands
from ringwork.console.consent_data import ConsentData, ConsentSources
from ringwork.console.data import ConsoleData
from ringwork.console.facts import Verification
from ringwork.console.fairness_data import FairnessData, FairnessSources
from ringwork.console.http import routes
from ringwork.console.live import Live
from ringwork.console.sources import Sources, StoreFacts
from ringwork.storage.batch import WAITING_EVENTS_MAX
from ringwork.storage.sqlite.indexes import RequestIndex, TransferIndex

WORLD: Final = "world.json"
"""Written by a demo world: says whose traffic the figures are of."""


def console_routes(
    platform: Platform,
    settings: Settings,
    reports: ReportsApi,
    consent: ConsentApi,
    is_closing: Callable[[], bool],
) -> list[ControllerRouterHandler]:
    """Every page of the console on this platform's stores."""
    data = settings.data_path
    sources = Sources(
        clock=platform.clock,
        journal=platform.journal,
        catalogue=platform.memory.catalogue,
        ledger=platform.memory.ledger,
        budgets=platform.memory.budgets,
        state=platform.state.reader,
        projections=platform.projections,
        request_events=RequestIndex(),
        transfers=TransferIndex(),
        currency=settings.ads.currency,
        queue_events_max=WAITING_EVENTS_MAX,
        store=lambda: store_facts(data),
        verification=lambda: last_verification(data),
        forecast=platform.memory.known_traffic.forecast,
        source=world_of(data),
    )
    console = ConsoleData(sources)
    return routes(
        data=console,
        reports=reports,
        consent=ConsentData(consent_sources(platform, consent)),
        fairness=FairnessData(
            FairnessSources(
                source=None if platform.fairness is None else LiveLog(platform.fairness),
                clock=platform.clock,
                names=lambda: console.names,
                campaign_of=lambda ad: campaign_of(platform.memory.catalogue, ad),
                currency=settings.ads.currency,
            )
        ),
        commands=Commands(
            reports.ads,
            sign_in=platform.sign_in,
            clock=platform.clock,
            new_key=lambda: platform.ids.new().hex(),
        ),
        sign_in=platform.sign_in,
        live_values=Live(is_closing=is_closing),
        session_s=settings.console.session_hours * 3600,
        is_secure=settings.http.public_url.startswith("https://"),
    )


def campaign_of(catalogue: Catalogue, ad: str) -> str:
    """The campaign of a creative; empty for none."""
    creative = catalogue.creatives.get(ad)
    return "" if creative is None else creative.campaign_id


def consent_sources(platform: Platform, api: ConsentApi) -> ConsentSources:
    """What the pages of consent read from."""
    inspection = Inspection(
        ledger=api.ledger,
        proving=api.proving,
        public_key=api.consents.public_key,
        reader=api.reader,
        event_at=platform.journal.event_at,
    )
    return ConsentSources(
        api=api,
        inspection=inspection,
        register=platform.memory.subscriptions,
        proofs=platform.memory.consent_proofs,
        notices=platform.memory.choice_showings.notices,
    )


def store_facts(data: Path) -> StoreFacts:
    """Files of the data directory by name, and the disk below it."""
    files = {}
    for path in sorted(data.rglob("*")):
        with suppress(FileNotFoundError):  # written under another name, and renamed meanwhile
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                files[str(path.relative_to(data))] = status.st_size
    disk = shutil.disk_usage(data)
    return StoreFacts(files=files, disk_free=disk.free, disk_total=disk.total)


def last_verification(data: Path) -> Verification | None:
    """What the last ``ringwork verify`` found, if one was run on this directory."""
    path = data / VERIFICATION
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Verification)
    except msgspec.DecodeError:
        return None


class _World(msgspec.Struct):
    seed: int = 0


def world_of(data: Path) -> str:
    """``demo world, seed 7`` where a world drives this directory, else nothing."""
    path = data / WORLD
    if not path.exists():
        return ""
    try:
        return f"demo world, seed {msgspec.json.decode(path.read_bytes(), type=_World).seed}"
    except msgspec.DecodeError:
        return ""
