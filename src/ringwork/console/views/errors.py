"""When there is no page, or it could not be made."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from ringwork.console.pages import Page, say

_TITLES: Final = {
    400: "Not understood",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Not possible here",
    422: "Not understood",
    429: "Too many requests",
    503: "Not now",
}


class ErrorBody(Struct, frozen=True, kw_only=True):
    """What went wrong and the id to ask about."""

    detail: str
    request_id: str


def problem(status: int, detail: str, request_id: str, now_us: int) -> Page:
    """The page for an error; a bug says nothing but the request's id."""
    if status >= 500 and not detail:
        detail = "The server made a mistake. Its log names it under this request."
    return Page(
        name="error",
        title=_TITLES.get(status, "Error"),
        question="What happened?",
        answer=say(detail or "That did not work."),
        now_us=now_us,
        body=ErrorBody(detail=detail, request_id=request_id),
        status=status,
    )
