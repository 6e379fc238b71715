"""Leaks that are planted on purpose, each in worlds of its own: the checks must find every one.

A proof that cannot fail proves nothing. Nothing here can be switched on in a server: ``plant``
changes the objects of a proof's platform before its endpoints are put together (``world``), by
replacing the flow with one that remembers whom a request is for, and one step of it with a leaky
one. Leaks that are a way of writing code are planted as text (``leaky_code``).
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, Literal, cast
from urllib.parse import quote

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from msgspec.structs import replace

from ringwork.ads.behavioural.segments import interest_audience
from ringwork.ads.behavioural.service import PersonalAsk
from ringwork.ads.model import Answered, Ask
from ringwork.app.proof.world import World
from ringwork.fairness.control.steering import Steering
from ringwork.flow.serve_ad import ServeAd, TermsOf
from ringwork.kernel.history import working_for
from ringwork.kernel.purpose import Grant, Terms
from ringwork.storage.sqlite.history import FILE_NAME

if TYPE_CHECKING:
    from ringwork.ads.page import Page
    from ringwork.kernel.journal import Command
    from ringwork.kernel.viewer import Viewer
    from ringwork.web.lane import ASGI, Receive, Scope, Send

Wall = Literal["types", "capability", "credentials", "static", "pairs", "canaries", "timing"]
WALLS: Final[tuple[Wall, ...]] = (
    *("types", "capability", "credentials", "static", "pairs", "canaries", "timing"),
)
NS_PER_ROW: Final = 20_000
"""What a planted leak of time costs for each thing that a person did: 20 us."""

_log: Final = logging.getLogger(__name__)


class Leak(Struct, frozen=True):
    """One leak and the walls that must each find it."""

    name: str
    walls: frozenset[Wall]
    plant: Callable[[World], None]


class Spy(ServeAd):
    """The flow, which remembers for a leak whom the request at work is for."""

    def __init__(self, world: World, *, terms_of: TermsOf | None = None) -> None:
        platform = world.platform
        super().__init__(
            terms_of=terms_of or platform.terms_of,
            ads=platform.ads,
            behaviour=platform.behaviour,
            journal=platform.journal,
            tenant=platform.settings.tenant,
            exchange=None if platform.bidding is None else platform.bidding.desk,
            special=platform.special,
        )
        self.person = ""
        self.subject = b""
        self.known: dict[bytes, PersonalAsk] = {}
        """What a request with consent found out about a person, kept where it must not be."""
        self._world = world
        self._subject_of = platform.consent.consents.subject_of
        read = platform.behaviour.personal_context

        def kept(ask: Ask, grant: Grant, *, now_s: int) -> PersonalAsk:
            found = self.known[grant.subject] = read(ask, grant, now_s=now_s)
            return found

        platform.behaviour.personal_context = kept  # type: ignore[method-assign]  # a planted leak

    async def __call__(self, ask: Ask, viewer: Viewer, **members: Any) -> Answered:
        self.person = viewer.person
        self.subject = self._subject_of(viewer.person) if viewer.person else b""
        return await super().__call__(ask, viewer, **members)

    # ---- ways to a person's past -----------------------------------------------------------------

    def remembered(self) -> tuple[str, ...]:
        """Audiences, from memory."""
        found = self.known.get(self.subject)
        return () if found is None else found.audiences

    def by_own_connection(self) -> list[str]:
        """Topics, from the file."""
        path = self._world.platform.settings.data_path / FILE_NAME
        address = f"file:{quote(str(path))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            rows = connection.execute(
                "SELECT topic FROM history_events WHERE subject = ? ORDER BY topic",
                (self.subject,),
            )
            return [topic for (topic,) in rows]

    def by_engine(self) -> list[str]:
        """Topics, over the connection that proofs of erasure use."""
        with self._world.platform.people.reader.begin() as connection:
            query = sa.text("SELECT topic FROM history_events WHERE subject = :subject")
            return sorted(connection.execute(query, {"subject": self.subject}).scalars())

    def by_raised_tier(self) -> list[str]:
        """Topics, by a genuine grant that nobody should have made, in a tier that is not true."""
        if not self.subject:
            return []
        platform = self._world.platform
        request_id = bytes(16)
        grant = platform.consent.grants.grant(
            subject=self.subject,
            purposes=("advertise",),
            services=("main",),
            epoch=platform.consent.epochs.current(self.subject),
            request_id=request_id,
        )
        with working_for("consented"):
            history = platform.history.read(grant, purpose="advertise", request_id=request_id)
        return sorted(one.topic for one in history.events)


def _spying(world: World) -> Spy:
    spy = world.platform.serve_ad = Spy(world)
    return spy


# ---- the leaks ----------------------------------------------------------------------------------


def _audiences(way: Callable[[Spy], list[str]]) -> Callable[[World], None]:
    """Interests on the page of a request without consent, by some way."""

    def plant(world: World) -> None:
        spy, ads = _spying(world), world.platform.ads
        begin = ads.begin

        def leaky(ask: Ask, auction_id: bytes, *, now_s: int) -> Page:
            page = begin(ask, auction_id, now_s=now_s)
            page.audiences = tuple(dict.fromkeys(map(interest_audience, way(spy))))
            return page

        ads.begin = leaky  # type: ignore[method-assign]  # a planted leak

    return plant


def _remembered_audiences(world: World) -> None:
    spy, ads = _spying(world), world.platform.ads
    begin = ads.begin

    def leaky(ask: Ask, auction_id: bytes, *, now_s: int) -> Page:
        page = begin(ask, auction_id, now_s=now_s)
        page.audiences = spy.remembered()
        return page

    ads.begin = leaky  # type: ignore[method-assign]  # a planted leak


def _cap_by_person(world: World) -> None:
    """Whoever looked at something is spared the ad that a page would show most often."""
    spy, ads = _spying(world), world.platform.ads
    begin = ads.begin

    def leaky(ask: Ask, auction_id: bytes, *, now_s: int) -> Page:
        page = begin(ask, auction_id, now_s=now_s)
        found = spy.known.get(spy.subject)
        for one in () if found is None else found.seen:
            page.bar(one.campaign, "frequency")
        return page

    ads.begin = leaky  # type: ignore[method-assign]  # a planted leak


def _one_nano(world: World) -> None:
    """The price of who did anything is a nano higher."""
    spy, ads = _spying(world), world.platform.ads
    clear = ads.clear

    def leaky(*arguments: Any, **members: Any) -> Any:
        more = int(bool(spy.remembered()))
        return [
            (replace(outcome, price_nanos=outcome.price_nanos + more), served)
            for outcome, served in clear(*arguments, **members)
        ]

    ads.clear = leaky  # type: ignore[method-assign]  # a planted leak


def _in_an_event(world: World) -> None:
    """What the person did stands among the reasons."""
    terms_of = world.platform.terms_of

    def leaky(viewer: Viewer, *, request_id: bytes) -> Terms:
        terms = terms_of(viewer, request_id=request_id)
        return replace(terms, reasons=(*terms.reasons, *spy.by_own_connection()[:1]))

    spy = world.platform.serve_ad = Spy(world, terms_of=leaky)


def _in_a_log_line(world: World) -> None:
    spy, ads = _spying(world), world.platform.ads
    begin = ads.begin

    def leaky(ask: Ask, auction_id: bytes, *, now_s: int) -> Page:
        _log.debug("an ad for %s", spy.person)
        return begin(ask, auction_id, now_s=now_s)

    ads.begin = leaky  # type: ignore[method-assign]  # a planted leak


def _in_a_file(world: World) -> None:
    spy, ads = _spying(world), world.platform.ads
    begin = ads.begin

    def leaky(ask: Ask, auction_id: bytes, *, now_s: int) -> Page:
        with (world.folder / "debug.txt").open("a") as file:
            file.write(f"{spy.person}\n")
        return begin(ask, auction_id, now_s=now_s)

    ads.begin = leaky  # type: ignore[method-assign]  # a planted leak


def _as_a_feature(world: World) -> None:
    """The model is told the person's favourite as the category of the page."""
    spy, ads = _spying(world), world.platform.ads
    candidates = ads.candidates

    def leaky(ask: Ask, *arguments: Any, **members: Any) -> Any:
        liked = tuple(one.partition(":")[2] for one in spy.remembered()[:1])
        context = replace(ask.context, categories=(*liked, *ask.context.categories))
        return candidates(replace(ask, context=context), *arguments, **members)

    ads.candidates = leaky  # type: ignore[method-assign]  # a planted leak


def _sold_outside(world: World) -> None:
    """What the person did is told to bidders as a category of the page."""
    spy = _spying(world)
    assert spy.exchange is not None
    gather = spy.exchange.gather

    async def leaky(ask: Ask, **members: Any) -> Any:
        liked = tuple(spy.by_own_connection()[:1])
        context = replace(ask.context, categories=(*ask.context.categories, *liked))
        return await gather(replace(ask, context=context), **members)

    spy.exchange.gather = leaky  # type: ignore[method-assign]  # a planted leak


def _in_an_answer(world: World) -> None:
    """The answer's ad names the person."""
    spy, ads = _spying(world), world.platform.ads
    clear = ads.clear

    def leaky(*arguments: Any, **members: Any) -> Any:
        return [
            (outcome, served and replace(served, advertiser_domain=f"{spy.person}.example"))
            for outcome, served in clear(*arguments, **members)
        ]

    ads.clear = leaky  # type: ignore[method-assign]  # a planted leak


def _in_the_ids(world: World) -> None:
    """Ids are drawn for everything that the person did, and the next ones are other ones."""
    spy, ads = _spying(world), world.platform.ads
    begin = ads.begin

    def leaky(ask: Ask, auction_id: bytes, *, now_s: int) -> Page:
        world.platform.entropy.take(8 * len(spy.remembered()) + 8)
        return begin(ask, auction_id, now_s=now_s)

    ads.begin = leaky  # type: ignore[method-assign]  # a planted leak


class _LeakySteering(Steering):
    """A special ad is moved by what the person of the request did."""

    def __init__(self, spy: Spy, honest: Steering) -> None:
        super().__init__()
        self._spy = spy
        self._honest = honest

    def shifts(self, cluster: int, offers: Sequence[tuple[str, int]]) -> dict[str, int]:
        done = len(self._spy.remembered())
        taken = self._honest.shifts(cluster, offers)
        return {ad_id: less + done for ad_id, less in taken.items()}


def _by_steering(world: World) -> None:
    spy, fairness = _spying(world), world.platform.fairness
    assert fairness is not None
    fairness.steer.tables = _LeakySteering(spy, fairness.tables)


def _in_the_ids_of_the_measured(world: World) -> None:
    """Events of whom a special ad reached draw their ids where everything else draws its own."""
    special = world.platform.special
    assert special is not None
    record = special.record

    def leaky(command: Command, *arguments: Any) -> None:
        before = command.recorded
        record(command, *arguments)
        for _ in range(command.recorded - before - 1):  # the first names nobody
            world.platform.journal.ids.new()

    special.record = leaky  # type: ignore[method-assign,assignment]  # a planted leak


def _by_profile(world: World) -> None:
    """What an exchange says of the user moves the floor."""
    world.around = _profiled


def _profiled(app: ASGI) -> ASGI:
    async def leaky(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/openrtb2/auction":
            await app(scope, receive, send)
            return
        message = await receive()
        body = msgspec.json.decode(cast("bytes", message["body"]))
        body["imp"][0]["bidfloor"] += len(msgspec.json.encode(body.get("user"))) / 10**6
        changed = {**message, "body": msgspec.json.encode(body)}

        async def again() -> dict[str, object]:
            return changed

        await app(scope, again, send)

    return leaky


def _slow(wait: Callable[[int], None]) -> Callable[[World], None]:
    """An answer takes longer, the more the person did."""

    def plant(world: World) -> None:
        spy, ads = _spying(world), world.platform.ads
        begin = ads.begin
        known: dict[bytes, int] = {}

        def leaky(ask: Ask, auction_id: bytes, *, now_s: int) -> Page:
            if spy.subject not in known:
                known[spy.subject] = len(spy.by_own_connection())
            wait(known[spy.subject])
            return begin(ask, auction_id, now_s=now_s)

        ads.begin = leaky  # type: ignore[method-assign]  # a planted leak

    return plant


def _work(rows: int) -> None:
    until = time.thread_time_ns() + rows * NS_PER_ROW
    while time.thread_time_ns() < until:
        pass


def _sleep(rows: int) -> None:
    time.sleep(rows * NS_PER_ROW / 1e9)


def walls_of(*walls: Wall) -> frozenset[Wall]:
    """Those that must find a leak."""
    return frozenset(walls)


LEAKS: Final[tuple[Leak, ...]] = (
    Leak(
        "a connection of its own to the history",
        walls_of("pairs", "credentials"),
        _audiences(Spy.by_own_connection),
    ),
    Leak(
        "the store's engine, past its authorizer",
        walls_of("pairs", "credentials"),
        _audiences(Spy.by_engine),
    ),
    Leak(
        "a genuine grant in a tier raised by hand",
        walls_of("pairs", "credentials"),
        _audiences(Spy.by_raised_tier),
    ),
    Leak("audiences remembered from before", walls_of("pairs"), _remembered_audiences),
    Leak("a frequency cap by person", walls_of("pairs"), _cap_by_person),
    Leak("a price that is one nano higher", walls_of("pairs"), _one_nano),
    Leak(
        "a topic in a member of an event",
        walls_of("pairs", "canaries", "credentials"),
        _in_an_event,
    ),
    Leak("a person's id in a log line", walls_of("canaries"), _in_a_log_line),
    Leak("a person's id in a file", walls_of("canaries"), _in_a_file),
    Leak("a favourite among the model's features", walls_of("pairs"), _as_a_feature),
    Leak(
        "a topic told to outside bidders",
        walls_of("pairs", "canaries", "credentials"),
        _sold_outside,
    ),
    Leak("a person's id in an answer", walls_of("canaries"), _in_an_answer),
    Leak("ids drawn by what was done", walls_of("pairs"), _in_the_ids),
    Leak("a special ad that is steered by what was done", walls_of("pairs"), _by_steering),
    Leak("ids drawn for who is measured", walls_of("pairs"), _in_the_ids_of_the_measured),
    Leak("a floor by the exchange's profile", walls_of("pairs"), _by_profile),
    Leak("work for everything that was done", walls_of("timing"), _slow(_work)),
    Leak("a pause for everything that was done", walls_of("timing"), _slow(_sleep)),
)
