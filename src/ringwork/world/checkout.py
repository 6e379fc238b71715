"""The simulated payment provider behind a port of loopback, for a platform in another process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from ringwork.world.payment_provider import SECRET, SimulatedPaymentProvider


@contextmanager
def checkout(folder: Path, now_s: Callable[[], int]) -> Iterator[dict[str, str]]:
    """Serve a provider while in the context; the settings by which a platform sells there.

    ``folder`` takes the key and the secret of the webhook. What was paid is forgotten at the end:
    asked again for an open payment, the next provider takes it anew, and nobody's money is lost.
    """
    provider, one_at_a_time = SimulatedPaymentProvider(now_s), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            asked = httpx.Request(
                self.command,
                f"http://provider.example{self.path}",
                headers=self.headers.items(),
                content=self.rfile.read(size),
            )
            with one_at_a_time:
                status, body = asyncio.run(_asked(provider, asked))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the terminal belongs to the demo's display."""

    key, secret = folder / "provider-key", folder / "webhook-secret"
    key.write_text("simulated-provider-key")
    secret.write_bytes(SECRET)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as site:
        site.daemon_threads = True
        thread = threading.Thread(target=site.serve_forever, name="checkout")
        thread.start()
        try:
            yield {
                "RINGWORK_SUBSCRIPTIONS__PROVIDER_URL": (
                    f"http://127.0.0.1:{site.server_address[1]}"
                ),
                "RINGWORK_SUBSCRIPTIONS__PROVIDER_KEY_FILE": str(key),
                "RINGWORK_SUBSCRIPTIONS__WEBHOOK_SECRET_FILE": str(secret),
            }
        finally:
            site.shutdown()
            thread.join()


async def _asked(provider: SimulatedPaymentProvider, request: httpx.Request) -> tuple[int, bytes]:
    answer = await provider.handle_async_request(request)
    return answer.status_code, await answer.aread()
