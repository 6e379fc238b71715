"""A file that was given as a banner, as the markup that is served: HTML, a picture, an HTML5 zip.

The platform keeps a banner as one text and serves it inside its answers; it hosts no files. A
picture becomes an ``img`` with a ``data:`` address, and of a zip the files that its page names are
put into the page. Both must fit ``INITIAL_LOAD_MAX_BYTES`` (``html``), as HTML5 ads have to anyhow.

Sources: PNG (RFC 2083, 11.2.1), GIF89a (18), JPEG (ITU-T T.81, B.2.2), WebP (RFC 9649, 2.4 to 2.7).
"""

from __future__ import annotations

import base64
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from io import BytesIO
from posixpath import dirname, join, normpath
from typing import Final

from msgspec import Struct

FILES_MAX: Final = 64
UNPACKED_MAX_BYTES: Final = 1_000_000
"""More than any bundle that can be served: a zip that unpacks to more is not unpacked."""

_TYPES: Final[Mapping[str, str]] = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif",
    "webp": "image/webp", "svg": "image/svg+xml", "css": "text/css", "js": "text/javascript",
    "woff": "font/woff", "woff2": "font/woff2", "ttf": "font/ttf", "mp4": "video/mp4",
    "json": "application/json",
}  # fmt: skip
_SHEET: Final = re.compile(r"<link\b[^>]{0,400}>", re.IGNORECASE)
_SCRIPT: Final = re.compile(
    r"""<script\b([^>]{0,400}?)\bsrc\s{0,9}=\s{0,9}["']([^"']{1,200})["']([^>]{0,400})>\s{0,99}</script>""",
    re.IGNORECASE,
)
_HREF: Final = re.compile(r"""\bhref\s{0,9}=\s{0,9}["']([^"']{1,200})["']""", re.IGNORECASE)
_NAMED: Final = re.compile(
    r"""(\b(?:src|poster|data|href)\s{0,9}=\s{0,9})(["'])([^"']{1,200})\2""", re.IGNORECASE
)
_URL: Final = re.compile(r"""url\(\s{0,9}(["']?)([^"')]{1,200})\1\s{0,9}\)""", re.IGNORECASE)
_ELSEWHERE: Final = re.compile(r"[a-z][a-z0-9+.-]*:|//|#|\$\{|\{|/", re.IGNORECASE)
_SOF: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""JPEG markers that begin a frame and tell its size."""


class NotABundle(ValueError):
    """A file that cannot be a banner; the text says what was expected."""


class Uploaded(Struct, frozen=True):
    """Markup, and the size in pixels where the file says it (else 0)."""

    html: str
    width: int = 0
    height: int = 0


def markup_of(content: bytes) -> Uploaded:
    """The markup of a file. Raises NotABundle."""
    if not content:
        raise NotABundle("the file is empty")
    if content.startswith(b"PK\x03\x04"):
        return Uploaded(_unzipped(content))
    kind = _picture_type(content)
    if kind:
        width, height = _size_of(content, kind)
        source = _data(content, kind)
        return Uploaded(
            f'<img src="{source}" width="{width}" height="{height}" alt="">', width, height
        )
    try:
        return Uploaded(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        text = "HTML in UTF-8, a PNG, JPEG, GIF or WebP picture, or a zip is expected"
        raise NotABundle(text) from None


def _data(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


# ---- pictures -----------------------------------------------------------------------------------


def _picture_type(content: bytes) -> str:
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp"
    return ""


def _size_of(content: bytes, kind: str) -> tuple[int, int]:
    try:
        size = {"image/png": _png, "image/gif": _gif, "image/jpeg": _jpeg, "image/webp": _webp}[
            kind
        ](content)
    except (struct.error, IndexError):
        size = (0, 0)
    if 0 in size:
        raise NotABundle(f"the {kind} is cut off or broken: it tells no size")
    return size


def _png(content: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", content, 16)
    return width, height


def _gif(content: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", content, 6)
    return width, height


def _jpeg(content: bytes) -> tuple[int, int]:
    at = 2
    while content[at] == 0xFF:
        marker = content[at + 1]
        if marker in _SOF:
            height, width = struct.unpack_from(">HH", content, at + 5)
            return width, height
        at += 2 + max(struct.unpack_from(">H", content, at + 2)[0], 2)
    return 0, 0


def _webp(content: bytes) -> tuple[int, int]:
    chunk = content[12:16]
    if chunk == b"VP8X":
        width, height = (int.from_bytes(content[at : at + 3], "little") for at in (24, 27))
        return width + 1, height + 1
    if chunk == b"VP8L":
        bits = struct.unpack_from("<I", content, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", content, 26)
    return width & 0x3FFF, height & 0x3FFF


# ---- zips ---------------------------------------------------------------------------------------


def _unzipped(content: bytes) -> str:
    files = _files(content)
    pages = sorted((name for name in files if name.lower().endswith((".html", ".htm"))), key=len)
    page = next((name for name in pages if name.lower().endswith("index.html")), None)
    if page is None and len(pages) == 1:
        page = pages[0]
    if page is None:
        raise NotABundle(f"one page, or an index.html, is expected; found {len(pages)} pages")
    return _Inliner(files, dirname(page)).page(_text(page, files[page]))


def _files(content: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            entries = [
                one
                for one in archive.infolist()
                if not one.is_dir() and not one.filename.startswith("__MACOSX/")
            ]
            if len(entries) > FILES_MAX:
                raise NotABundle(f"at most {FILES_MAX} files are expected, found {len(entries)}")
            found: dict[str, bytes] = {}
            left = UNPACKED_MAX_BYTES
            for entry in entries:
                with archive.open(entry) as file:
                    unpacked = file.read(left + 1)  # whatever its header says of its size
                left -= len(unpacked)
                if left < 0:
                    raise NotABundle(f"it unpacks to more than {UNPACKED_MAX_BYTES} bytes")
                found[normpath(entry.filename)] = unpacked
            return found
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise NotABundle(f"the zip cannot be read: {error}") from None


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotABundle(f"{name}: UTF-8 is expected") from None


class _Inliner:
    """Puts the files that a page names into it."""

    def __init__(self, files: Mapping[str, bytes], folder: str) -> None:
        self._files = files
        self._folder = folder

    def page(self, html: str) -> str:
        html = _SHEET.sub(self._sheet, html)
        html = _SCRIPT.sub(self._script, html)
        html = _NAMED.sub(self._attribute, html)
        return self._urls(html, self._folder)

    def _sheet(self, tag: re.Match[str]) -> str:
        href = _HREF.search(tag[0])
        if "stylesheet" not in tag[0].lower() or href is None or _ELSEWHERE.match(href[1]):
            return tag[0]
        path, content = self._named(href[1], self._folder)
        return f"<style>{self._urls(_text(path, content), dirname(path))}</style>"

    def _script(self, tag: re.Match[str]) -> str:
        if _ELSEWHERE.match(tag[2]):
            return tag[0]
        path, content = self._named(tag[2], self._folder)
        source = re.sub("</(?=script)", r"<\\/", _text(path, content), flags=re.IGNORECASE)
        return f"<script{tag[1].rstrip()}{tag[3].rstrip()}>{source}</script>"

    def _attribute(self, match: re.Match[str]) -> str:
        before, quote, name = match.groups()
        is_file = "." in name and name.rpartition(".")[2].partition("?")[0].lower() in _TYPES
        if _ELSEWHERE.match(name) or not is_file:
            return match[0]
        return f"{before}{quote}{self._address(name, self._folder)}{quote}"

    def _urls(self, text: str, folder: str) -> str:
        def inlined(match: re.Match[str]) -> str:
            if _ELSEWHERE.match(match[2]):
                return match[0]
            return f"url({self._address(match[2], folder)})"

        return _URL.sub(inlined, text)

    def _address(self, name: str, folder: str) -> str:
        path, content = self._named(name, folder)
        kind = _TYPES.get(path.rpartition(".")[2].lower(), "application/octet-stream")
        return _data(content, kind)

    def _named(self, name: str, folder: str) -> tuple[str, bytes]:
        path = normpath(join(folder, name.partition("?")[0].partition("#")[0].strip()))
        if path not in self._files:
            raise NotABundle(f"its page names {name[:60]!r}, which the zip does not hold")
        return path, self._files[path]
