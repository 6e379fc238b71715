"""The choice page's addresses: for everybody, without keys and without cookies.

``GET /choice`` asks, ``/choice/embed`` does in a frame on the publisher's page, ``/choice/mine``
(and ``/choice/mine-embed``) shows what holds, at any time; ``POST /choice`` takes every button of
them all. ``GET /choice/state`` tells a publisher's page where the person stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from ringwork.consent.choice.service import Choices, NotAsked
from ringwork.consent.choice.settings import ChoiceSettings
from ringwork.consent.choice.visits import (
    FORM_MAX_BYTES,
    Seals,
    Surface,
    Ticket,
    Visit,
    Visits,
    fields,
)
from ringwork.kernel.errors import Invalid, NotFound, Refused
from ringwork.kernel.ports import Clock
from ringwork.web.lane import Exchange, Lane, Reply, problem_reply
from ringwork.web.problems import Forbidden, UnsupportedMediaType

if TYPE_CHECKING:
    from ringwork.consent.choice.render import Renderer

Header: TypeAlias = tuple[bytes, bytes]

SURFACES: Final[dict[str, Surface]] = {
    "embed": "choice-embed",
    "mine": "choice-mine",
    "mine-embed": "choice-mine-embed",
}
STATIC_TYPES: Final = {"css": b"text/css; charset=utf-8", "js": b"text/javascript; charset=utf-8"}
STATIC_AGE_S: Final = 3_600
TAG_AGE_S: Final = 600
ANSWER: Final = "ringwork_choice"
"""The query member by which a publisher's server learns what was chosen."""
_FORM: Final = b"application/x-www-form-urlencoded"


class ChoiceLanes:
    """The lanes and what they work with."""

    def __init__(
        self,
        *,
        choices: Choices,
        visits: Visits,
        seals: Seals,
        clock: Clock,
        settings: ChoiceSettings,
        public_url: str,
    ) -> None:
        self._choices = choices
        self._visits = visits
        self._seals = seals
        self._clock = clock
        self._settings = settings
        self._origin = _origin(public_url)
        self._made: Renderer | None = None
        self._files: dict[str, bytes] = {}
        self._tag = b""

    def lanes(self) -> Sequence[Lane]:
        """The endpoints."""
        return (
            Lane(
                path="/choice",
                methods=("GET", "POST"),
                handle=self._page_or_form,
                body_max_bytes=FORM_MAX_BYTES,
                error_form=self._refusal,
            ),
            Lane(path="/choice/", methods=("GET",), handle=self._below, error_form=self._refusal),
            Lane(path="/ringwork-consent.js", methods=("GET",), handle=self._script),
        )

    # ---- pages ----------------------------------------------------------------------------------

    async def _page_or_form(self, exchange: Exchange) -> Reply:
        if exchange.method == "POST":
            return await self._take(exchange)
        return await self._show(exchange, "choice-page")

    async def _below(self, exchange: Exchange) -> Reply:
        name = exchange.token
        if name in SURFACES:
            return await self._show(exchange, SURFACES[name])
        if name == "state":
            return self._state(exchange)
        kind = STATIC_TYPES.get(name.rpartition(".")[2])
        self._renderer()
        if kind is None or name not in self._files:
            raise NotFound(f"nothing is at /choice/{name[:64]}")
        age = (b"cache-control", b"public, max-age=%d" % STATIC_AGE_S)
        nosniff = (b"x-content-type-options", b"nosniff")
        return Reply(200, self._files[name], ((b"content-type", kind), age, nosniff))

    async def _show(self, exchange: Exchange, surface: Surface) -> Reply:
        now_us = self._clock.wall_us()
        visit = self._visits.read(exchange.query, now_us=now_us)
        embedded = surface.endswith("-embed")
        if embedded and not visit.origin:
            raise Invalid("query/origin: expected the origin of the page around the frame")
        publisher = self._visits.property_of(visit.publisher)
        page = await self._choices.ask(
            visit,
            publisher,
            surface,
            request_id=exchange.request_id,
            languages=_languages(exchange),
        )
        stands, renderer = self._choices.standpoint(visit, now_us), self._renderer()
        again = self._address("mine-embed" if embedded else "mine", visit)
        if isinstance(page, NotAsked):
            html = renderer.not_asked(page, again=again, embedded=embedded, stands=stands)
        else:
            saved = fields(exchange.query, len(exchange.query), where="query").get("saved") == "1"
            html = renderer.question(
                page, ticket=self._seals.seal(page.ticket), again=again, stands=stands, saved=saved
            )
        return Reply(200, html.encode(), _headers(publisher.origins, embedded=embedded))

    def _address(self, name: str, visit: Visit, **members: str) -> str:
        link = self._visits.link(visit, now_us=self._clock.wall_us())
        return f"/choice/{name}?{urlencode({'link': link, **members})}"

    # ---- the form -------------------------------------------------------------------------------

    async def _take(self, exchange: Exchange) -> Reply:
        media = exchange.content_type.partition(b";")[0].strip().lower()
        if media != _FORM:
            raise UnsupportedMediaType(f"expected {_FORM.decode()}")
        self._require_own_page(exchange)
        given = fields(exchange.body, FORM_MAX_BYTES, where="form")
        ticket = self._seals.open(given.get("ticket", ""), Ticket)
        if ticket is None:
            raise Forbidden("the form did not come from a page of this server")
        visit = self._visits.check(ticket.visit)  # an origin may be gone since
        choice = given.get("choice", "")
        await self._choices.take(ticket, choice, request_id=exchange.request_id)
        if choice == "subscribe":
            return _moved(_with(visit.subscribe_to, ANSWER, choice))
        if ticket.surface == "choice-page" and visit.return_to:
            return _moved(_with(visit.return_to, ANSWER, choice))
        name = "mine-embed" if ticket.surface.endswith("-embed") else "mine"
        return _moved(self._address(name, visit, saved="1"))

    def _require_own_page(self, exchange: Exchange) -> None:
        """No other site's page may post here, whatever it holds (beside the sealed ticket)."""
        site = next((value for name, value in exchange.headers if name == b"sec-fetch-site"), b"")
        if site not in (b"", b"same-origin"):
            raise Forbidden("a choice is taken from this server's own pages only")
        if exchange.origin and exchange.origin.decode("latin-1") not in self._origins(exchange):
            raise Forbidden("a choice is taken from this server's own pages only")

    def _origins(self, exchange: Exchange) -> tuple[str, ...]:
        """Ours: the public one; to clients on this machine also the one that they call it by."""
        if not exchange.is_local:
            return (self._origin,)
        host = next((value for name, value in exchange.headers if name == b"host"), b"")
        return self._origin, f"http://{host.decode('latin-1')}"

    # ---- for the tag ----------------------------------------------------------------------------

    def _state(self, exchange: Exchange) -> Reply:
        from ringwork.consent.choice.render import plain  # noqa: PLC0415  # jinja2, when asked for

        now_us = self._clock.wall_us()
        visit = self._visits.read(exchange.query, now_us=now_us)
        cors = self._cors(exchange, visit)
        body = msgspec.json.encode(plain(self._choices.standpoint(visit, now_us)))
        plain_json = (b"content-type", b"application/json")
        return Reply(200, body, (plain_json, (b"cache-control", b"no-store"), *cors))

    def _cors(self, exchange: Exchange, visit: Visit) -> tuple[Header, ...]:
        if not exchange.origin:
            return ()
        origins = self._visits.property_of(visit.publisher).origins
        if exchange.origin.decode("latin-1") not in origins:
            raise Forbidden(f"the origin is not one of publisher {visit.publisher!r}")
        return (b"access-control-allow-origin", exchange.origin), (b"vary", b"origin")

    async def _script(self, exchange: Exchange) -> Reply:
        """The tag, with the stub in front where the operator is a CMP."""
        if not self._tag:
            from ringwork.consent.choice.render import tag_source  # noqa: PLC0415  # as above

            stub, tag = tag_source()
            cmp = {"id": self._settings.cmp_id, "version": self._settings.cmp_version}
            known = cmp if self._settings.writes_strings else {}
            # Where another platform answers already, its strings are read and none are made.
            other = b"ringworkCmp.other=typeof __tcfapi==='function'||!!frames.__tcfapiLocator;\n"
            head = b"globalThis.ringworkCmp=%b;%b" % (msgspec.json.encode(known), other)
            self._tag = head + (b"if(!ringworkCmp.other){%b}\n" % stub if known else b"") + tag
        age = (b"cache-control", b"public, max-age=%d" % TAG_AGE_S)
        return Reply(200, self._tag, ((b"content-type", STATIC_TYPES["js"]), age))

    # ---- refusals -------------------------------------------------------------------------------

    def _refusal(self, refused: Refused, exchange: Exchange) -> Reply:
        """A page for people, a problem for programs."""
        if not _wants_page(exchange):
            return problem_reply(refused, exchange)
        blank = Visit(publisher="-", person="-")
        locale = self._choices.locale_of(blank, _languages(exchange))
        html = self._renderer().refused(refused, locale, again=self._again(exchange))
        headers = _headers((), embedded=False)
        if refused.retry_after_s is not None:
            headers = (*headers, (b"retry-after", b"%d" % refused.retry_after_s))
        return Reply(refused.status, html.encode(), headers)

    def _again(self, exchange: Exchange) -> str:
        """The way back to the person's own page, where a form says whose."""
        if exchange.method != "POST":
            return ""
        try:
            sent = fields(exchange.body, FORM_MAX_BYTES, where="form").get("ticket", "")
            ticket = self._seals.open(sent, Ticket)
            return "" if ticket is None else self._address("mine", self._visits.check(ticket.visit))
        except Refused:
            return ""

    def _renderer(self) -> Renderer:
        """The templates, when the first page is asked for: jinja2 is no part of a start."""
        if self._made is None:
            from ringwork.consent.choice.render import (  # noqa: PLC0415  # as the docstring says
                Renderer,
                static_files,
            )

            self._made, self._files = Renderer(), static_files()
        return self._made


def _headers(origins: Sequence[str], *, embedded: bool) -> tuple[Header, ...]:
    """Of a page: no cookie, nothing kept, framed by the publisher's own pages or by none."""
    around = " ".join(origins) if embedded and origins else "'none'"
    # A form's answer leads to the publisher's page: browsers hold form-action against that too.
    policy = (
        "default-src 'none'; style-src 'self'; style-src-attr 'unsafe-inline'; script-src 'self'; "
        f"form-action 'self' {' '.join(origins)}; frame-ancestors {around}; base-uri 'none'"
    )
    return (
        (b"content-type", b"text/html; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"content-security-policy", policy.encode("latin-1", "replace")),
        (b"referrer-policy", b"same-origin"),
        (b"x-content-type-options", b"nosniff"),
    )


def _moved(address: str) -> Reply:
    location = (b"location", address.encode("ascii", "replace"))
    return Reply(303, b"", (location, (b"cache-control", b"no-store")))


def _with(address: str, name: str, value: str) -> str:
    parts = urlsplit(address)
    query = f"{parts.query}&{name}={value}" if parts.query else f"{name}={value}"
    return urlunsplit(parts._replace(query=query))


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _languages(exchange: Exchange) -> str:
    found = (value for name, value in exchange.headers if name == b"accept-language")
    return next(found, b"").decode("latin-1")


def _wants_page(exchange: Exchange) -> bool:
    accept = next((value for name, value in exchange.headers if name == b"accept"), b"")
    return b"text/html" in accept
