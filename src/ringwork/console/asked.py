"""What a request to the console asks: parameters, read once and bounded."""

from __future__ import annotations

from typing import Final

from ringwork.console.facts import Reached, Search
from ringwork.console.render import Scheme
from ringwork.kernel.errors import Fault, Invalid, NotFound
from ringwork.kernel.ids import parse_id
from ringwork.web.app import HttpRequest
from ringwork.web.auth import cookie_of
from ringwork.web.problems import Forbidden
from ringwork.web.sessions import SignIn

SCHEME_COOKIE: Final = "rw_scheme"
_SCHEMES: Final[dict[str, Scheme]] = {"": "", "light": "light", "dark": "dark"}
_OUTCOMES: Final[dict[str, Reached]] = {
    "unsold": "unsold",
    "sold": "sold",
    "billed": "billed",
    "clicked": "clicked",
}
_TEXT_MAX: Final = 255
_FIELD_MAX: Final = 2000
_SEQ_MAX: Final = 2**63 - 1
PAGES_MAX: Final = 1000
"""Pages of a list that can be leafed through."""


def text(request: HttpRequest, name: str) -> str:
    """A query member without blanks around it; Invalid when longer than any id or name."""
    value = str(request.query_params.get(name, "")).strip()
    if len(value) > _TEXT_MAX:
        raise _invalid(name, f"at most {_TEXT_MAX} characters, got {len(value)}")
    return value


def number(request: HttpRequest, name: str, *, default: int, at_most: int = _SEQ_MAX) -> int:
    """A whole number from 1 on."""
    value = text(request, name)
    if not value:
        return default
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= at_most):
        raise _invalid(name, f"a whole number from 1 to {at_most} is expected, got {value[:40]!r}")
    return int(value)


def id_of(value: str) -> bytes:
    """An id in a path; NotFound for what cannot be one."""
    try:
        return parse_id(value)
    except ValueError as error:
        raise NotFound(str(error)) from None


def search_of(request: HttpRequest) -> Search:
    """The search form for requests."""
    outcome = text(request, "outcome")
    if outcome and outcome not in _OUTCOMES:
        raise _invalid("outcome", f"one of {', '.join(_OUTCOMES)} expected, got {outcome[:40]!r}")
    return Search(
        id=text(request, "id"),
        campaign=text(request, "campaign"),
        placement=text(request, "placement"),
        outcome=_OUTCOMES[outcome] if outcome else "",
        before=number(request, "before", default=0),
    )


def live(request: HttpRequest) -> bool:
    """Whether the page should change while one looks; ``?live=off`` pauses it."""
    return request.query_params.get("live") != "off"


def scheme_of(request: HttpRequest) -> Scheme:
    """The colour scheme that the visitor chose; empty leaves it to the system."""
    header = request.headers.get("cookie", "").encode("latin-1", "replace")
    return _SCHEMES.get(cookie_of(header, SCHEME_COOKIE) or "", "")


def chosen_scheme(value: str) -> Scheme:
    """The scheme named in the form."""
    if value not in _SCHEMES:
        raise _invalid("scheme", "light, dark or nothing is expected")
    return _SCHEMES[value]


def back_to(value: str) -> str:
    """A page of the console to return to; anything else leads to the overview."""
    inside = value.startswith("/console/") and "\\" not in value and "//" not in value
    return value if inside and value.isascii() and value.isprintable() else "/console/"


async def field(request: HttpRequest, name: str) -> str:
    """A member of a posted form."""
    form = await request.form()
    value = form.get(name, "")
    if not isinstance(value, str) or len(value) > _FIELD_MAX:
        raise _invalid(name, f"a text of at most {_FIELD_MAX} characters is expected")
    return value


async def check_form(request: HttpRequest, sign_in: SignIn) -> None:
    """Forbidden unless the form came from a page of this session; an API key needs no form."""
    session = request.scope["state"].get("session")
    if session is not None and not sign_in.is_csrf_token(session, await field(request, "csrf")):
        raise Forbidden("the form is from another session: load the page again")


def _invalid(name: str, detail: str) -> Invalid:
    return Invalid(f"query/{name}: {detail}", [Fault(f"query/{name}", detail)])
