"""The page of a form, new or come back: its body from what it asks, what was typed and was said."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ringwork.console.commands import Commands
from ringwork.console.editing import Said, seen
from ringwork.console.forms.body import Button, FormBody, has_files, sections, summary
from ringwork.console.forms.members import Group
from ringwork.console.forms.reading import Typed
from ringwork.console.pages import Page
from ringwork.console.views.form import form_page


class Sheet(Struct, frozen=True, kw_only=True):
    """What a form is of, whatever was typed into it."""

    title: str
    question: str
    action: str
    groups: Sequence[Group]
    buttons: Sequence[Button]
    who: str
    """Who may send it, or what comes of it."""
    cancel: str
    subject: str = ""
    entry: str = ""
    """Of the navigation; without one it is that of campaigns."""
    item: Struct | None = None
    """What is changed, as it was shown: a form of another one would undo what came between."""
    fixed: Sequence[tuple[str, str]] = ()
    kinds: Sequence[tuple[str, str, bool]] = ()


def page_of(commands: Commands, sheet: Sheet, typed: Typed, said: Said | None = None) -> Page:
    """The form with what was typed, under a key of its own."""
    said = said or Said()
    hidden = [("key", commands.new_key())]
    if sheet.item is not None:
        hidden.append(("seen", seen(sheet.item)))
    body = FormBody(
        action=sheet.action,
        sections=sections(sheet.groups, typed, said.faults, said.remarks),
        buttons=list(sheet.buttons),
        who=sheet.who,
        cancel=sheet.cancel,
        wrong=summary(sheet.groups, said.faults),
        trouble=said.trouble,
        good=said.good,
        fixed=list(sheet.fixed),
        kinds=list(sheet.kinds),
        hidden=hidden,
        has_files=has_files(sheet.groups),
    )
    return form_page(
        body,
        title=sheet.title,
        subject=sheet.subject,
        entry=sheet.entry,
        question=sheet.question,
        now_us=commands.now_us(),
        status=said.status,
    )
