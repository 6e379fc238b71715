"""The foundation's own HTTP contract: health, keys, log, traces, erasures (specification 7.4)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, post
from litestar.params import HeaderParameter, JSONBody, PathParameter, QueryParameter
from litestar.response import Stream
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct

from ringwork.app.access import Access, AccessPage
from ringwork.app.log_api import CURSOR, EventPage, LogApi, LogQuery, Trace, seq_of
from ringwork.app.store import Store
from ringwork.kernel.errors import Fault, Invalid, NotFound, RingworkError
from ringwork.kernel.ids import format_id, parse_id
from ringwork.kernel.journal import Command
from ringwork.web.app import HttpRequest, run_command
from ringwork.web.auth import needs
from ringwork.web.keys import ROLES, ApiKey, Role
from ringwork.web.openapi import UUID_PATTERN, UuidText, described
from ringwork.web.sessions import SignIn


class NewErasure(Struct, forbid_unknown_fields=True):
    """Whose personal members to make unreadable.

    As ``advertiser/ID``, ``customer/REFERENCE`` or ``person/ID``.
    """

    subject: Annotated[str, Meta(min_length=1, max_length=400)]


class NewAccess(Struct, forbid_unknown_fields=True):
    """Of whom everything is asked for, and from where on."""

    subject: Annotated[str, Meta(min_length=1, max_length=400)]
    """As ``person/ID``, ``advertiser/ID`` or ``customer/REFERENCE``."""
    after: Annotated[str, Meta(pattern=CURSOR)] = "0"
    limit: Annotated[int, Meta(ge=1, le=1000)] = 1000


class ErasureAnswer(Struct):
    """The erasure's id; its proof is at ``/v1/erasures/{id}``."""

    id: str
    keys_deleted: int


class NewKey(Struct, forbid_unknown_fields=True):
    """An API key to make."""

    role: Role
    label: Annotated[str, Meta(max_length=100)] = ""


class KeyMade(Struct):
    """The only time that the token is seen."""

    id: str
    role: str
    token: str


class KeyView(Struct):
    """A key without its secret."""

    id: str
    role: str
    label: str
    created_us: int
    revoked: bool
    scopes: list[str]


class KeyList(Struct):
    """Every key, revoked ones too."""

    keys: list[KeyView]


class SignInLink(Struct):
    """A path that signs a browser in once."""

    path: str


class Readiness(Struct):
    """Whether requests can be served, and what says so."""

    ready: bool
    checks: dict[str, str]


TYPES: tuple[type[Struct], ...] = (
    NewAccess,
    NewErasure,
    ErasureAnswer,
    NewKey,
    KeyMade,
    KeyView,
    KeyList,
    Readiness,
)


def routes(store: Store, log_api: LogApi) -> list[ControllerRouterHandler]:
    """Every handler that needs a store and no part."""
    return [
        *_health(store),
        *_keys(store),
        *_log(log_api),
        *_erasures(store),
        *_access(store, log_api),
    ]


def sign_in_routes(sign_in: SignIn) -> list[ControllerRouterHandler]:
    """Where there are pages to sign in to."""

    @post("/v1/sign-in-links", opt=needs("keys:write"), sync_to_thread=False)
    def sign_in_link() -> SignInLink:
        """A path that signs a browser in to the console, once."""
        return SignInLink(f"/console/sign-in?token={sign_in.issue_link()}")

    return [sign_in_link]


def _health(store: Store) -> list[ControllerRouterHandler]:
    @get("/healthz", sync_to_thread=False, opt={"open": True})
    def healthz() -> dict[str, str]:
        """Live: the process answers."""
        return {"status": "live"}

    @get("/readyz", sync_to_thread=False, opt={"open": True})
    def readyz() -> Response[Readiness]:
        """Ready to serve, or 503 with the check that says why not."""
        readiness = readiness_of(store)
        headers = {} if readiness.ready else {"Retry-After": "1"}
        return Response(readiness, status_code=200 if readiness.ready else 503, headers=headers)

    return [healthz, readyz]


def readiness_of(store: Store) -> Readiness:
    """The checks behind ``/readyz``."""
    checks = {"log": "ok", "projections": "ok", "disk": "ok"}
    try:
        store.log.admit()
    except RingworkError as error:
        which = "disk" if "storage-full" in str(error) else "log"
        checks[which] = str(error)
    if store.projections.troubles:
        checks["projections"] = "; ".join(
            f"{name}: {text.splitlines()[0]}" for name, text in store.projections.troubles.items()
        )
    return Readiness(all(value == "ok" for value in checks.values()), checks)


def _keys(store: Store) -> list[ControllerRouterHandler]:
    api_keys = store.memory.api_keys

    @post("/v1/keys", opt={**needs("keys:write"), **described(KeyMade)})
    async def create_key(request: HttpRequest, data: JSONBody[NewKey]) -> Response[bytes]:
        """Make an API key; the token is in this answer and nowhere else.

        No idempotency key is taken: a stored answer would keep the token.
        """
        made: list[str] = []

        def decide(command: Command) -> tuple[int, Struct]:
            token = api_keys.create(command, store.entropy, role=data.role, label=data.label)
            made.append(token)
            return 201, KeyMade(token.split("_")[1], data.role, token)

        return await run_command(request, store.execute, decide, takes_key=False)

    @get("/v1/keys", opt=needs("keys:write"), sync_to_thread=False)
    def list_keys() -> KeyList:
        """Every API key, without its secret."""
        return KeyList([_key_view(key) for key in api_keys.keys.values()])

    @delete(
        "/v1/keys/{key_id:str}",
        status_code=200,
        opt={**needs("keys:write"), **described(KeyView, key="optional")},
    )
    async def revoke_key(
        request: HttpRequest, key_id: Annotated[str, PathParameter(pattern="^[0-9a-f]{12}$")]
    ) -> Response[bytes]:
        """Revoke an API key."""

        def decide(command: Command) -> tuple[int, Struct]:
            return 200, _key_view(api_keys.revoke(command, key_id))

        return await run_command(request, store.execute, decide)

    return [create_key, list_keys, revoke_key]


def _key_view(key: ApiKey) -> KeyView:
    return KeyView(
        key.id, key.role, key.label, key.created_us, key.revoked, sorted(ROLES[key.role])
    )


def _log(log_api: LogApi) -> list[ControllerRouterHandler]:
    @get("/v1/log/events", opt=needs("log:read"))
    async def log_events(
        after: Annotated[str, QueryParameter(pattern=CURSOR)] = "0",
        limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
        type_: Annotated[str, QueryParameter(name="type", max_length=64)] = "",
        request_id: Annotated[str | None, QueryParameter(pattern=UUID_PATTERN)] = None,
        subject: Annotated[str | None, QueryParameter(pattern="^[0-9a-f]{32}$")] = None,
    ) -> EventPage:
        """Events in order, from a cursor on."""
        query = LogQuery(
            after=after,
            limit=limit,
            type=type_,
            request_id=request_id or "",
            subject=subject or "",
        )
        return await log_api.events(query)

    @get("/v1/log/stream", opt=needs("log:read"), media_type="text/event-stream")
    async def log_stream(
        last_event_id: Annotated[str, HeaderParameter(name="Last-Event-ID", max_length=64)] = "",
    ) -> Stream:
        """Events as they become durable (server-sent events); ids are cursors."""
        return Stream(
            await log_api.stream(last_event_id or None),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store"},
        )

    @get("/v1/traces/{request_id:str}", opt=needs("log:read"))
    async def trace(request_id: UuidText) -> Trace:
        """The events of a request as a tree by cause."""
        try:
            wanted = parse_id(request_id)
        except ValueError as error:
            raise Invalid(str(error), [Fault("path/request_id", str(error))]) from None
        return await log_api.trace(wanted)

    return [log_events, log_stream, trace]


def _access(store: Store, log_api: LogApi) -> list[ControllerRouterHandler]:
    access = Access(
        log=store.log,
        log_api=log_api,
        types=store.types,
        keys=store.keys,
        pseudonym=store.pseudonym,
    )

    @post("/v1/access", status_code=200, opt=needs("consent:export"))
    async def read_access(data: JSONBody[NewAccess]) -> AccessPage:
        """What the log holds about a subject, unsealed: a page of its events in order."""
        await store.journal.settled()
        after_seq = seq_of(data.after, pointer="/after")
        return await access.page(data.subject, after_seq=after_seq, limit=data.limit)

    return [read_access]


def _erasures(store: Store) -> list[ControllerRouterHandler]:
    erasures = store.erasures

    @post(
        "/v1/erasures",
        opt={**needs("erasure:write"), **described(ErasureAnswer, key="optional")},
    )
    async def erase(request: HttpRequest, data: JSONBody[NewErasure]) -> Response[bytes]:
        """Delete the keys of a subject: what is sealed under them is unreadable from now on."""

        def decide(command: Command) -> tuple[int, Struct]:
            event_id, _, deleted = erasures.erase(command, data.subject)
            return 201, ErasureAnswer(format_id(event_id), deleted)

        return await run_command(request, store.execute, decide)

    @get("/v1/erasures/{erasure_id:str}", opt=needs("erasure:write"))
    async def read_erasure(erasure_id: UuidText) -> dict[str, Any]:
        """The proof: every store is read again now."""
        try:
            proof = await erasures.prove(parse_id(erasure_id))
        except ValueError as error:
            raise Invalid(str(error), [Fault("path/erasure_id", str(error))]) from None
        if proof is None:
            raise NotFound(f"no erasure {erasure_id!r}")
        found: dict[str, Any] = msgspec.to_builtins(proof)
        return {**found, "holds": proof.holds}

    return [erase, read_erasure]
