"""A newspaper's page for the demo: what a person sees who subscribes, consents or refuses.

A web server of its own, because a publisher has one: the platform meets it as any other site, with
an origin that is registered and a tag on its page. ``/?as=refusing`` is the page as one of the
three sees it; ``/`` as somebody who comes for the first time. What the platform answered, and why
an ad was chosen, stands beside the ad: it is a page of the demo.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from string import Template
from typing import Final
from urllib.parse import parse_qs, urlsplit

from ringwork.world.cast import SHOPS, Setup
from ringwork.world.readers import CLUBS, Reader, campaign, person_id

NEWCOMER: Final = "newcomer"
KNOWN: Final = ("subscriber", "consenting", "refusing")
"""Readers with an account: what each decided is the reader's name."""
READERS: Final = (NEWCOMER, *KNOWN)
PUBLISHER: Final = "the-mercury"
DOMAIN: Final = f"{PUBLISHER}.example"
PLACEMENT: Final = "the-mercury.article"
CATEGORY: Final = "274"
"""Home improvement: what the article is about, and what the shop of its ad sells."""
PAGE_CPM: Final = 5.0
"""What that shop bids for a reader of such an article: less than one for a reader's own interest
(``readers.CLUB_CPM``), more than everybody else."""

TIERS: Final = {
    "subscriber": "there is no ad, nothing was auctioned, and nothing of the request was kept.",
    "consented": "what this reader did was looked at, as they agreed.",
    "less-personalised": "the page decided; what anybody did was not looked at.",
    "general": "the place alone decided.",
}
"""What an answer's tier means, in the demo's words."""

_ARTICLE: Final = (
    "<p>Lime, sand and water: the three things that have held walls together for as long as there "
    "have been walls.</p>"
    f'<div data-ringwork-placement="{PLACEMENT}"></div>'
    '<aside aria-label="What the demo shows" aria-live="polite"><p class="asked">Asking for an ad.'
    "</p>"
    + "".join(
        f'<p class="{tier}">Tier <strong>{tier}</strong>: {words}</p>'
        for tier, words in TIERS.items()
    )
    + "</aside>"
    "<p>The plaster wants two coats, and patience between them.</p>"
)
_SUBSCRIBE: Final = "<p>In the demo nobody pays. Here a paper has its own checkout.</p>"
_POLICY: Final = "default-src 'none'; script-src {server}; style-src 'unsafe-inline'; " + (
    "frame-src {server} 'self'; connect-src {server}; img-src {server} data:"
)


def known_readers(seed: int) -> tuple[Reader, ...]:
    """The paper's three; the one who consents rides bicycles."""
    topic = CLUBS[0][2]
    return tuple(
        Reader(person_id(seed, one), one, (topic, topic) if one == "consenting" else ())
        for one in KNOWN
    )


def page(path: str, *, server: str, seed: int) -> str | None:
    """The paper's page at a path; None where it has none."""
    parts = urlsplit(path)
    if parts.path not in ("/", "/subscribe"):
        return None
    asked = parse_qs(parts.query).get("as", ["newcomer"])[-1]
    reader = next((one for one in READERS if one == asked), NEWCOMER)
    # A newcomer is known to nobody: the tag draws a number, and keeps it with consent alone.
    known = f'data-ringwork-person="{person_id(seed, reader)}"'
    is_article = parts.path == "/"
    return Template((files("ringwork.world") / "paper.html").read_text("utf-8")).substitute(
        server=escape(server),
        publisher=PUBLISHER,
        named="" if reader == NEWCOMER else known,
        links="".join(_link(one, is_current=one == reader) for one in READERS),
        headline="A wall in an afternoon" if is_article else "Subscribe",
        body=_ARTICLE if is_article else _SUBSCRIBE,
    )


def setup() -> Iterator[Setup]:
    """What the platform has to know of the paper, but its origin: that is another each time."""
    about: dict[str, object] = {"name": "The Mercury", "domain": DOMAIN}
    yield Setup("/v1/publishers", {"id": PUBLISHER, **about}, f"world:paper:{PUBLISHER}")
    place = {
        "publisher_id": PUBLISHER, "format": "banner", "width": 300, "height": 250,
        "categories": [CATEGORY],
    }  # fmt: skip
    yield Setup("/v1/placements", {"id": PLACEMENT, **place}, f"world:paper:{PLACEMENT}")
    shop = next(one for one in SHOPS if one.category == CATEGORY)
    targeting = {"sites": [DOMAIN], "categories": [CATEGORY]}
    yield from campaign(f"{shop.id}-{PUBLISHER}", shop, targeting, cpm=PAGE_CPM)


def _link(reader: str, *, is_current: bool) -> str:
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
