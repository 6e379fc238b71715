"""The management API's application.

Litestar with our bodies, our problems and our OpenAPI document.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from litestar import Litestar, Request, Response, Router
from litestar.exceptions import (
    ClientException,
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.openapi.config import OpenAPIConfig
from litestar.routes import BaseRoute
from litestar.types import ControllerRouterHandler

from ringwork import __version__
from ringwork.kernel.errors import Fault, Invalid, Refused
from ringwork.web.auth import SCOPE_OPTION, challenge, require
from ringwork.web.body import StrictBody
from ringwork.web.execute import Answer, Decide, Executor, Intent
from ringwork.web.keys import Principal
from ringwork.web.problems import (
    MEDIA_TYPE,
    Forbidden,
    Malformed,
    Problem,
    TooLarge,
    Unauthenticated,
    encode,
    internal_problem,
    problem_of,
)

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

HttpRequest = Request[Principal | None, None, Any]

BODY_MAX_BYTES: Final = 1024 * 1024
_log: Final = logging.getLogger(__name__)


def create_litestar(
    route_handlers: Sequence[ControllerRouterHandler],
    *,
    lifespan: Sequence[Callable[[Litestar], AbstractAsyncContextManager[None]]] = (),
) -> Litestar:
    """The application of the given handlers; authentication stands in front of it."""
    methods: dict[str, set[str]] = {}

    async def before_request(request: HttpRequest) -> Response[bytes] | None:
        """Check the scope, before the body is read; answer OPTIONS with every method of the path.

        (The framework's own answer knows the first handler's methods only. A coroutine, because it
        runs plain functions in a thread, which costs 70 us.)
        """
        scope = request.route_handler.opt.get(SCOPE_OPTION)
        if scope is not None:
            require(request.scope["state"].get("principal"), scope)
        if request.method != "OPTIONS":
            return None
        allowed = ", ".join(sorted(methods[request.scope["path_template"]]))
        return Response(b"", status_code=204, headers={"Allow": allowed})

    app = Litestar(
        route_handlers=route_handlers,
        before_request=before_request,
        dto=StrictBody,
        return_dto=None,
        request_max_body_size=BODY_MAX_BYTES,
        exception_handlers={
            Refused: _on_refused,
            HTTPException: _on_http,
            Exception: _on_bug,
        },
        lifespan=list(lifespan),
        openapi_config=OpenAPIConfig(
            title="Ringwork",
            version=__version__,
            openapi_router=_Unserved(path="/openapi", route_handlers=[]),
        ),
        logging_config=None,
    )
    for route in app.routes:
        methods.setdefault(route.path_format, set()).update(getattr(route, "methods", ()))
    return app


class _Unserved(Router):
    """Takes the framework's own pages of the document and serves none of them.

    They show its uncorrected document, and load scripts from other people's servers.
    """

    def register(self, value: ControllerRouterHandler) -> list[BaseRoute]:
        return []


def request_id(request: HttpRequest) -> bytes:
    """The id that authentication gave the request."""
    value: bytes = request.scope["state"]["request_id"]
    return value


def principal_of(request: HttpRequest) -> Principal:
    """Who asks; a guard has made sure that there is somebody."""
    principal: Principal | None = request.scope["state"].get("principal")
    if principal is None:
        raise Unauthenticated("send an API key: Authorization: Bearer rw_...")
    return principal


async def run_command(
    request: HttpRequest,
    executor: Executor,
    decide: Decide,
    *,
    key_required: bool = False,
    takes_key: bool = True,
) -> Response[bytes]:
    """Execute a command of a handler: key, decision, one frame, durable, answered.

    ``takes_key=False`` ignores an idempotency key: for answers that must not be kept in the log.
    """
    intent = Intent(
        tenant=principal_of(request).tenant,
        request_id=request_id(request),
        method=request.method,
        path=request.scope["path"],
        key=header_of(request, b"idempotency-key") if takes_key else None,
        body=await request.body(),
    )
    return reply(await executor(intent, decide, key_required=key_required))


def header_of(request: HttpRequest, name: bytes) -> str | None:
    """One header, from the raw pairs: the framework's own mapping of all of them costs 5 us."""
    for given, value in request.scope["headers"]:
        if given == name:
            return value.decode("latin-1")
    return None


def reply(answer: Answer) -> Response[bytes]:
    """An executed command's answer as a response."""
    headers = {"Idempotency-Replayed": "true"} if answer.replayed else {}
    return Response(
        answer.body, status_code=answer.status, media_type=answer.media_type, headers=headers
    )


def _problem_response(
    problem: Problem,
    headers: Mapping[str, str] | None = None,
    extension: Mapping[str, str] | None = None,
) -> Response[bytes]:
    return Response(
        encode(problem, extension),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=dict(headers or {}),
    )


def _on_refused(request: HttpRequest, refused: Refused) -> Response[bytes]:
    problem = problem_of(refused, path=request.scope["path"], request_id=request_id(request))
    headers: dict[str, str] = {}
    if refused.retry_after_s is not None:
        headers["Retry-After"] = str(refused.retry_after_s)
    if isinstance(refused, Unauthenticated | Forbidden):
        headers.update({name.decode(): value.decode() for name, value in challenge(refused)})
    return _problem_response(problem, headers, refused.extension)


def _on_http(request: HttpRequest, error: HTTPException) -> Response[bytes]:
    refused = _refused_of(error)
    if refused is None:
        return _on_bug(request, error)
    response = _on_refused(request, refused)
    for name, value in (error.headers or {}).items():
        if name.lower() == "allow":
            response.headers["Allow"] = value
    return response


def _refused_of(error: HTTPException) -> Refused | None:
    """What a framework exception means in our terms; None for a server error."""
    if isinstance(error, ValidationException):
        return _invalid_of(error)
    if isinstance(error, NotFoundException):
        return Refused("not-found", "no such path", status=404, title="Not found")
    if isinstance(error, MethodNotAllowedException):
        return Refused("method-not-allowed", "see Allow", status=405, title="Method not allowed")
    if error.status_code == 413:
        return TooLarge(BODY_MAX_BYTES)
    if isinstance(error, ClientException) or error.status_code < 500:
        return Refused("malformed-request", error.detail, status=error.status_code)
    return None


def _invalid_of(error: ValidationException) -> Refused:
    extra = error.extra if isinstance(error.extra, list) else []
    faults = [
        Fault(f"{_source(item)}/{item.get('key', '')}", str(item.get("message", "")))
        for item in extra
        if isinstance(item, dict)
    ]
    if "'data'" in error.detail or any(fault.pointer.endswith("/data") for fault in faults):
        return Malformed("a JSON body is expected, the body is empty")
    text = "; ".join(f"{fault.pointer}: {fault.detail}" for fault in faults) or error.detail
    return Invalid(text, faults)


def _source(item: Mapping[str, Any]) -> str:
    """Where a parameter stands: query, path, header or cookie."""
    source = item.get("source", "query")
    return str(getattr(source, "value", source))


def _on_bug(request: HttpRequest, error: Exception) -> Response[bytes]:
    own_id = request_id(request)
    _log.exception("request %s failed", own_id.hex(), exc_info=error)
    return _problem_response(internal_problem(path=request.scope["path"], request_id=own_id))
