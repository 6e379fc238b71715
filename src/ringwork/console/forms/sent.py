"""What a browser sent: texts by pointer, files in the place of the texts they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from litestar.datastructures import UploadFile

from ringwork.ads.creatives.bundle import NotABundle, Uploaded, markup_of
from ringwork.console.forms.members import Group
from ringwork.console.forms.reading import members_of
from ringwork.web.app import HttpRequest

FILE: Final = "-file"
"""After the name of an input: the file that may be given instead."""
VALUES_MAX: Final = 64
"""Of one input: checks have fewer."""


class Sent:
    """Typed texts, and what is wrong with the files."""

    def __init__(self) -> None:
        self.typed: dict[str, list[str]] = {}
        self.faults: dict[str, str] = {}


async def sent(request: HttpRequest, groups: Sequence[Group]) -> Sent:
    """The members of the form; what else was sent is left alone."""
    form = await request.form()
    found = Sent()
    for member in members_of(groups):
        given = form.getall(member.pointer, [])[:VALUES_MAX]
        found.typed[member.pointer] = [one for one in given if isinstance(one, str)]
    for member in members_of(groups):
        upload = form.get(member.pointer + FILE)
        if member.is_file and isinstance(upload, UploadFile) and upload.filename:
            await _take(found, member.pointer, upload)
    return found


async def _take(found: Sent, pointer: str, upload: UploadFile) -> None:
    try:
        given = markup_of(await upload.read())
    except NotABundle as error:
        found.faults[pointer] = f"{upload.filename[:60]}: {error}"
        return
    found.typed[pointer] = [given.html]
    _fill_size(found, given)


def _fill_size(found: Sent, given: Uploaded) -> None:
    """A picture knows its size: it is filled in where nothing was typed."""
    for pointer, pixels in (("/width", given.width), ("/height", given.height)):
        if pixels and not any(text.strip() for text in found.typed.get(pointer, ())):
            found.typed[pointer] = [str(pixels)]
