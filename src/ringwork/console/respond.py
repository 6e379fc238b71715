"""Turns a page, or an error, into the answer that the visitor's client asked for."""

from __future__ import annotations

import logging
from typing import Final, TypeAlias

from litestar import Response
from litestar.exceptions import HTTPException
from litestar.response import Redirect

from ringwork.console.answers import Assets, address, html, json, moved, wants_fragment, wants_json
from ringwork.console.asked import scheme_of
from ringwork.console.data import ConsoleData
from ringwork.console.pages import Page, Shell
from ringwork.console.render import Frame, Renderer, json_of
from ringwork.console.views.errors import problem
from ringwork.kernel.errors import Refused
from ringwork.kernel.ids import format_id
from ringwork.web.app import HttpRequest, request_id
from ringwork.web.keys import ROLES, Principal
from ringwork.web.problems import MEDIA_TYPE, Unauthenticated, encode, internal_problem, problem_of
from ringwork.web.sessions import SignIn

Answer: TypeAlias = Response[str] | Response[bytes] | Redirect

_log: Final = logging.getLogger(__name__)


class Responder:
    """Made once; holds the compiled templates and the static files."""

    def __init__(self, *, data: ConsoleData, sign_in: SignIn) -> None:
        self.assets = Assets()
        self._data = data
        self._sign_in = sign_in
        self._renderer = Renderer()

    def page(self, request: HttpRequest, page: Page) -> Response[str] | Response[bytes]:
        """The page as JSON, as a fragment, or whole."""
        if wants_json(request):
            return json(json_of(page), status=page.status)
        frame = self._frame(request, self._data.shell())
        text = self._renderer.html(page, frame, fragment=wants_fragment(request))
        return html(text, status=page.status)

    def door(self, request: HttpRequest, answer: str, *, token: str = "") -> Response[str]:
        """The sign-in page."""
        return html(
            self._renderer.sign_in(
                answer=answer,
                token=token,
                scheme=scheme_of(request),
                assets=self.assets.addresses,
            )
        )

    def refused(
        self, request: HttpRequest, error: Refused
    ) -> Response[str] | Response[bytes] | Redirect:
        """A refusal: to sign in where that is what is missing, else a page or a problem."""
        if wants_json(request):
            body = problem_of(error, path=request.scope["path"], request_id=request_id(request))
            return Response(encode(body), status_code=error.status, media_type=MEDIA_TYPE)
        if isinstance(error, Unauthenticated):
            return moved("/console/sign-in")
        return self._problem(request, error.status, error.detail, self._data.shell())

    def failed(
        self, request: HttpRequest, error: Exception
    ) -> Response[str] | Response[bytes] | Redirect:
        """What the framework refused, or a bug: logged, and told without detail."""
        if isinstance(error, HTTPException) and error.status_code < 500:
            refused = Refused("malformed-request", error.detail, status=error.status_code)
            return self.refused(request, refused)
        own_id = request_id(request)
        _log.error("console request %s failed", own_id.hex(), exc_info=error)
        if wants_json(request):
            body = internal_problem(path=request.scope["path"], request_id=own_id)
            return Response(encode(body), status_code=500, media_type=MEDIA_TYPE)
        return self._problem(
            request, 500, "", Shell(events=None)
        )  # asks nothing that may fail again

    def _problem(
        self, request: HttpRequest, status: int, detail: str, shell: Shell
    ) -> Response[str]:
        page = problem(status, detail, format_id(request_id(request)), self._data.now_us())
        frame = self._frame(request, shell)
        text = self._renderer.html(page, frame, fragment=wants_fragment(request))
        return html(text, status=status)

    def _frame(self, request: HttpRequest, shell: Shell) -> Frame:
        state = request.scope["state"]
        principal: Principal | None = state.get("principal")
        session: str = state.get("session", "")
        return Frame(
            shell=shell,
            path=address(request),
            scheme=scheme_of(request),
            csrf=self._sign_in.csrf_token(session) if session else "",
            signed_in=bool(session),
            scopes=ROLES[principal.role] if principal else frozenset(),
            assets=self.assets.addresses,
        )
