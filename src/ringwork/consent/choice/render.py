"""Questions to HTML: plain pages that a publisher themes with two colours."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from typing import Final

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined

from ringwork.consent.choice.service import NEVER_US, NotAsked, Question, Standpoint
from ringwork.consent.choice.texts import Locale
from ringwork.consent.choice.visits import Visit, is_dark
from ringwork.kernel.errors import Refused


def static_files() -> dict[str, bytes]:
    """What the pages load, by name below ``/choice/``."""
    root = files("ringwork.consent.choice") / "static"
    names = {"page.css": "page.css", "frame.js": "frame.js", "iab.js": "vendor/iab.js"}
    return {name: root.joinpath(file).read_bytes() for name, file in names.items()}


def tag_source() -> tuple[bytes, bytes]:
    """The TCF stub of the IAB, and our tag."""
    root = files("ringwork.consent.choice") / "static"
    return root.joinpath("vendor/tcf-stub.js").read_bytes(), root.joinpath(
        "consent.js"
    ).read_bytes()


class Renderer:
    """Holds the compiled templates."""

    def __init__(self) -> None:
        self._env: Final = Environment(
            loader=PackageLoader("ringwork.consent.choice"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._env.filters["day"] = day

    def question(
        self, question: Question, *, ticket: str, again: str, stands: Standpoint, saved: bool
    ) -> str:
        """The options; on a person's own page with what holds and what is recorded."""
        visit = question.visit
        return self._env.get_template("question.html").render(
            locale=question.locale,
            texts=question.locale.texts,
            visit=visit,
            style=style_of(visit),
            question=question,
            ticket=ticket,
            again=again,
            saved=saved,
            embedded=question.surface.endswith("-embed"),
            mine=question.surface.startswith("choice-mine"),
            message=message_of(stands),
        )

    def not_asked(self, one: NotAsked, *, again: str, embedded: bool, stands: Standpoint) -> str:
        """Why nothing is asked, and the way to change it."""
        texts = one.locale.texts
        if one.current == "subscribe" or not one.until_us:
            said = ""
        elif one.until_us == NEVER_US:
            said = texts.never_asked
        else:
            said = texts.not_asked.format(date=day(one.until_us))
        return self._env.get_template("not-asked.html").render(
            locale=one.locale,
            texts=texts,
            visit=one.visit,
            style=style_of(one.visit),
            publisher=one.publisher,
            current=one.current,
            said=said,
            again=again,
            embedded=embedded,
            message=message_of(stands),
        )

    def refused(self, refused: Refused, locale: Locale, *, again: str) -> str:
        """A refusal in the person's language, with the reason for whoever has to mend it."""
        return self._env.get_template("refused.html").render(
            locale=locale,
            texts=locale.texts,
            style="",
            embedded=False,
            refused=refused,
            again=again,
        )


def day(ts_us: int) -> str:
    """A date, in UTC and of one form everywhere: 2026-11-27."""
    return datetime.fromtimestamp(ts_us / 1_000_000, UTC).strftime("%Y-%m-%d")


def style_of(visit: Visit) -> str:
    """The publisher's colours as custom properties; they were checked when the visit was read."""
    if not visit.ink:
        return ""
    scheme = "dark" if is_dark(visit.paper) else "light"
    return f"--rw-ink:#{visit.ink};--rw-paper:#{visit.paper};color-scheme:{scheme}"


def message_of(stands: Standpoint) -> str:
    """What an embedded page tells the page around it."""
    return msgspec.json.encode(plain(stands)).decode()


def plain(stands: Standpoint) -> dict[str, object]:
    """Where a person stands, as the tag takes it. Times in ms; 0 for "now", -1 for "never"."""
    until_ms = -1 if stands.until_us == NEVER_US else -(-stands.until_us // 1000)
    found: dict[str, object] = {
        "choice": stands.choice,
        "ask": stands.ask,
        "until_ms": until_ms,
    }
    if stands.signals is not None:
        found["signals"] = msgspec.to_builtins(stands.signals)
    return found
