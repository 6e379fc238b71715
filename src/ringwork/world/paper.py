"""A newspaper's page for the demo: what a person sees who subscribes, consents or refuses.

A web server of its own, because a publisher has one: the platform meets it as any other site, with
an origin that is registered and a tag on its page. ``/?as=refusing`` is the page as one of the
three sees it; ``/`` as somebody who comes for the first time.
"""

from __future__ import annotations

import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from string import Template
from typing import Final, Literal, get_args
from urllib.parse import parse_qs, urlsplit

from ringwork.world.cast import Setup

Reader = Literal["newcomer", "subscriber", "consenting", "refusing"]
READERS: Final[tuple[Reader, ...]] = get_args(Reader)
PUBLISHER: Final = "the-mercury"
PLACEMENT: Final = "the-mercury.article"

_ARTICLE: Final = (
    "<p>Lime, sand and water: the three things that have held walls together for as long as there "
    "have been walls.</p>"
    f'<div data-ringwork-placement="{PLACEMENT}"></div>'
    "<p>The plaster wants two coats, and patience between them.</p>"
)
_SUBSCRIBE: Final = "<p>In the demo nobody pays. Here a paper has its own checkout.</p>"
_POLICY: Final = "default-src 'none'; script-src {server}; style-src 'unsafe-inline'; " + (
    "frame-src {server} 'self'; connect-src {server}; img-src {server} data:"
)


def person_of(reader: Reader, seed: int) -> str:
    """The id of one of the paper's readers: the same in each run of a world."""
    drawn = sha256(f"{seed}/reader/{reader}".encode()).digest()[:18]
    return "r." + urlsafe_b64encode(drawn).decode()


def page(path: str, *, server: str, seed: int) -> str | None:
    """The paper's page at a path; None where it has none."""
    parts = urlsplit(path)
    if parts.path not in ("/", "/subscribe"):
        return None
    asked = parse_qs(parts.query).get("as", ["newcomer"])[-1]
    reader: Reader = next((one for one in READERS if one == asked), "newcomer")
    # A newcomer is known to nobody: the tag draws a number, and keeps it with consent alone.
    known = f'data-ringwork-person="{person_of(reader, seed)}"'
    is_article = parts.path == "/"
    return Template((files("ringwork.world") / "paper.html").read_text("utf-8")).substitute(
        server=escape(server),
        publisher=PUBLISHER,
        named="" if reader == "newcomer" else known,
        links="".join(_link(one, is_current=one == reader) for one in READERS),
        headline="A wall in an afternoon" if is_article else "Subscribe",
        body=_ARTICLE if is_article else _SUBSCRIBE,
    )


def setup() -> Iterator[Setup]:
    """What the platform has to know of the paper, but its origin: that is another each time."""
    about: dict[str, object] = {"name": "The Mercury", "domain": f"{PUBLISHER}.example"}
    yield Setup("/v1/publishers", {"id": PUBLISHER, **about}, f"world:paper:{PUBLISHER}")
    place = {"publisher_id": PUBLISHER, "format": "banner", "width": 300, "height": 250}
    yield Setup("/v1/placements", {"id": PLACEMENT, **place}, f"world:paper:{PLACEMENT}")


def _link(reader: Reader, *, is_current: bool) -> str:
    mark = ' aria-current="page"' if is_current else ""
    return f'<li><a href="/?as={reader}"{mark}>{reader.capitalize()}</a></li>'


@contextmanager
def paper(*, server: str, seed: int) -> Iterator[str]:
    """Serve the paper on a free port of loopback while in the context; its origin."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = page(self.path, server=server, seed=seed)
            body = (found or "Nothing is here").encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", _POLICY.format(server=server))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the terminal belongs to the demo's display."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as site:
        site.daemon_threads = True
        thread = threading.Thread(target=site.serve_forever, name="paper")
        thread.start()
        try:
            yield f"http://127.0.0.1:{site.server_address[1]}"
        finally:
            site.shutdown()
            thread.join()
