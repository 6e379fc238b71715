"""Leaks that are a way of writing code, planted as text and as types: none of it is ever run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from ringwork.ads.model import Ask, Context
from ringwork.app.proof.leaks import Wall, walls_of
from ringwork.app.proof.static import MEMBERS, Sources

LEAKY_TEXTS: Final[Mapping[str, tuple[str, frozenset[Wall]]]] = {
    "an import of behavioural": (
        "from ringwork.ads.behavioural.service import Behaviour\n",
        walls_of("static", "types"),
    ),
    "the same by another module": ("from ringwork.flow import serve_ad\n", walls_of("static")),
    "an import of the store": (
        "from ringwork.storage.sqlite.history import HistoryStore\n",
        walls_of("static"),
    ),
    "importlib": (
        "import importlib\n\nwhole = importlib.import_module('ringwork.ads.behavi' + 'oural')\n",
        walls_of("static"),
    ),
    "getattr": (
        "def past(ads: object) -> object:\n    return getattr(ads, '_hist' + 'ory')\n",
        walls_of("static"),
    ),
    "__import__": ("part = __import__('ringwork.ads.behavioural')\n", walls_of("static")),
    "eval": ("past = eval('__imp' + 'ort__')\n", walls_of("static")),
    "sqlite3": ("import sqlite3\n\ndb = sqlite3.connect('history.db')\n", walls_of("static")),
    "open": ("rows = open('history.db', 'rb').read()\n", walls_of("static")),
    "a way by the garbage collector": ("from gc import get_objects\n", walls_of("static")),
    "a tier that it raises itself": (
        "from ringwork.kernel.history import working_for\n",
        walls_of("static"),
    ),
    "a function that takes a personal ask": (
        "from ringwork.ads.behavioural.service import PersonalAsk\n\n"
        "def rank(ask: PersonalAsk) -> int:\n    return len(ask.seen)\n",
        walls_of("static", "types"),
    ),
    "a function that takes a history": (
        "from ringwork.kernel.history import History as Past\n\n"
        "def rank(past: Past) -> int:\n    return len(past.events)\n",
        walls_of("types"),
    ),
    "a function that takes a grant": (
        "from ringwork.kernel.purpose import Grant\n\n"
        "def rank(grant: Grant) -> bytes:\n    return grant.subject\n",
        walls_of("types"),
    ),
    "an auction that takes a viewer": (
        "from ringwork.kernel.viewer import Viewer\n\n"
        "def rank(viewer: Viewer) -> str:\n    return viewer.person\n",
        walls_of("types"),
    ),
    "a function that takes anything": (
        "def rank(ask) -> int:\n    return len(ask.seen)\n",
        walls_of("types"),
    ),
}
"""Name -> (what is added to a contextual module, the walls that must object)."""


def with_text(sources: Sources, text: str) -> Sources:
    """The sources, with this in the module of the auction."""
    module = "ringwork.ads.auction"
    return {**sources, module: f"{sources[module]}\n{text}"}


def leaky_members() -> Mapping[str, Mapping[type, frozenset[str]]]:
    """Asks as they must not be, as what ``type_findings`` looks at."""

    class AskOfSomebody(Ask, frozen=True, kw_only=True):
        person: str | None = None

    class ContextWithAddress(Context, frozen=True, array_like=True):
        ip: str = ""

    class ChangingAsk(Struct):
        visit: str = ""

    return {
        "an ask with a person": {AskOfSomebody: MEMBERS[Ask]},
        "a context with an address": {ContextWithAddress: MEMBERS[Context]},
        "an ask that can be changed": {ChangingAsk: MEMBERS[Ask]},
    }
