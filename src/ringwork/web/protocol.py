"""uvicorn's httptools protocol with a bound on the request head.

431 past 32 KiB (RFC 6585, section 5).

uvicorn itself has no limit there: a header of 1 MB is taken.
"""

from __future__ import annotations

from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_MAX_BYTES: Final = 32 * 1024
_BODY: Final = (
    b'{"type":"urn:ringwork:problem:head-too-large","title":"Request head too large","status":431}'
)
_REFUSAL: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/problem+json\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(_BODY), _BODY)
)


class BoundedHeadProtocol(HttpToolsProtocol):
    """Counts the bytes between the begin of a message and the end of its headers."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # uvicorn's own arguments
        self._head_bytes = 0
        self._in_head = True

    def data_received(self, data: bytes) -> None:
        """Refuse a head that is already too large, or becomes so with this chunk."""
        if self._in_head and self._head_bytes + len(data) > HEAD_MAX_BYTES:
            begins_body = b"\r\n\r\n" in data[: HEAD_MAX_BYTES - self._head_bytes + 4]
            if not begins_body:
                self._refuse()
                return
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A new head."""
        self._head_bytes, self._in_head = 0, True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is done: what follows is body."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Between messages every byte is the head of the next one."""
        super().on_message_complete()
        self._head_bytes, self._in_head = 0, True

    def _refuse(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(_REFUSAL)
            self.transport.close()
