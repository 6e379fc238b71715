"""A publisher with pages of its own, a server beside it, and people who come by."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ringwork.app.call import call
from ringwork.app.settings import Settings
from tests.crash.server import Server, free_port

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]
PERSON = "r.0123456789abcdefABCDEF"
CMP = {
    "RINGWORK_CHOICE__CMP_ID": "300",
    "RINGWORK_CHOICE__VENDOR_ID": "755",
    "RINGWORK_CHOICE__VENDOR_LIST_VERSION": "48",
    "RINGWORK_CHOICE__PUBLISHER_COUNTRY": "DE",
}
PAGE = """<!doctype html><html lang="{lang}"><meta charset="utf-8"><title>Article</title>
<h1>A wall in an afternoon</h1>{head}
<script src="{url}/ringwork-consent.js" data-ringwork-publisher="casa" {attributes}></script>
<div data-ringwork-ask></div><p>Lime, sand, water.</p>
<div data-ringwork-placement="foot"></div><div data-ringwork-mine></div>
<script src="{url}/ringwork.js" data-ringwork-visit="session"></script></html>"""


class House:
    """A publisher's web server and the ad server, each with an origin of its own."""

    def __init__(self, folder: Path, environment: dict[str, str] | None = None) -> None:
        self.port = free_port()
        # Another site than the server's: what the server's frames could store is partitioned.
        self.origin = f"http://localhost:{self.port}"
        self.pages = folder / "pages"
        self.pages.mkdir(parents=True)
        self.server = Server(folder / "data", environment)
        self.settings = Settings(data=str(folder / "data"))
        self._post(
            "/v1/publishers",
            {"id": "casa", "name": "Casa", "domain": "casa.example", "origins": [self.origin]},
        )
        self._post(
            "/v1/placements",
            {"id": "foot", "publisher_id": "casa", "format": "banner", "width": 300, "height": 250},
        )
        (self.pages / "pay.html").write_text("<!doctype html><title>Pay</title>Thanks")

    def write(self, name: str, *, attributes: str = "", head: str = "", lang: str = "en") -> str:
        """A page with the tags; its address."""
        page = PAGE.format(url=self.server.url, attributes=attributes, head=head, lang=lang)
        (self.pages / name).write_text(page)
        return f"{self.origin}/{name}"

    def _post(self, path: str, body: dict[str, object]) -> None:
        headers = {"idempotency-key": f"{path}{body.get('id')}"}
        reply = call(self.settings, "POST", path, body, headers=headers)
        assert reply.status == 201, reply.body

    def events(self, type_: str) -> list[dict]:
        """What the log has of a type."""
        reply = call(self.settings, "GET", f"/v1/log/events?type={type_}&limit=1000")
        assert reply.status == 200, reply.body
        return json.loads(reply.body)["events"]

    @contextmanager
    def open(self) -> Iterator[None]:
        handler = partial(Quiet, directory=str(self.pages))
        site = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        self.server.start()
        try:
            yield
        finally:
            self.server.kill()
            site.shutdown()
            site.server_close()
            thread.join()


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a word."""

    def log_message(self, *args: object) -> None:
        pass
