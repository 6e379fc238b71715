"""Logs with one JSON object a line: nginx (log_format … escape=json), Caddy, Traefik, Envoy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from ringwork.gate.analyse.columns import Kind, Record
from ringwork.gate.analyse.moments import clf_us, iso_us, unix_us

if TYPE_CHECKING:
    from collections.abc import Callable

ADDRESS_MAX_BYTES: Final = 255
_REFERRER: Final = "Referer"  # codespell:ignore # HTTP cannot spell
_Object = dict[str, Any]
_decode: Final = msgspec.json.Decoder(_Object).decode


def parse_json(line: bytes, name: str = "auto") -> Record | None:
    """A record of the named dialect, or of the one whose members are there; None of no dialect."""
    found = _object_of(line)
    if found is None:
        return None
    if name != "auto":
        return _DIALECTS[name](found)
    for dialect in _DIALECTS.values():
        record = dialect(found)
        if record is not None:
            return record
    return None


def _object_of(line: bytes) -> _Object | None:
    """The object of a line. Bytes that are no UTF-8 (a server logged them raw) are written out."""
    try:
        return _decode(line)
    except msgspec.DecodeError:
        pass
    except RecursionError:
        return None
    except UnicodeDecodeError:
        line = line.decode("utf-8", "backslashreplace").replace("\\x", "\\\\x").encode()
    try:
        return _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _nginx(found: _Object) -> Record | None:
    moment = _text(found.get("time_iso8601"))
    ts_us = iso_us(moment.decode()) if moment else clf_us(_text(found.get("time_local")))
    if "remote_addr" not in found:
        return None
    return _record(
        ts_us, found.get("status"), found.get("body_bytes_sent", 0),
        _text(found["remote_addr"]), _text(found.get("remote_user")),
        _text(found.get("http_host") or found.get("host")),
        _text(found.get("request_method")), _text(found.get("request_uri")),
        _text(found.get("server_protocol")), _text(found.get("http_referer")),
        _text(found.get("http_user_agent")),
    )  # fmt: skip


def _caddy(found: _Object) -> Record | None:
    request = found.get("request")
    if not isinstance(request, dict) or "ts" not in found:
        return None
    stamp = found["ts"]
    ts_us = iso_us(stamp) if isinstance(stamp, str) else unix_us(stamp)
    headers = request.get("headers")
    named = headers if isinstance(headers, dict) else {}
    return _record(
        ts_us, found.get("status"), found.get("size", 0),
        _text(request.get("client_ip") or request.get("remote_ip")), _text(found.get("user_id")),
        _text(request.get("host")), _text(request.get("method")), _text(request.get("uri")),
        _text(request.get("proto")), _header(named, _REFERRER), _header(named, "User-Agent"),
    )  # fmt: skip


def _traefik(found: _Object) -> Record | None:
    address = found.get("ClientHost")
    moment = found.get("StartUTC") or found.get("time")
    if address is None or not isinstance(moment, str):
        return None
    return _record(
        iso_us(moment), found.get("DownstreamStatus"), found.get("DownstreamContentSize", 0),
        _text(address), _text(found.get("ClientUsername")), _text(found.get("RequestHost")),
        _text(found.get("RequestMethod")), _text(found.get("RequestPath")),
        _text(found.get("RequestProtocol")), _text(found.get("request_Referer")),
        _text(found.get("request_User-Agent")),
    )  # fmt: skip


def _envoy(found: _Object) -> Record | None:
    moment = found.get("start_time")
    remote = found.get("downstream_remote_address")
    if not isinstance(moment, str) or remote is None:
        return None
    return _record(
        iso_us(moment), found.get("response_code"), found.get("bytes_sent", 0),
        _without_port(_text(remote)), b"", _text(found.get(":authority") or found.get("authority")),
        _text(found.get("method")),
        _text(found.get("x-envoy-origin-path") or found.get("path")),
        _text(found.get("protocol")), _text(found.get(_REFERRER.lower())),
        _text(found.get("user-agent") or found.get("user_agent")),
    )  # fmt: skip


_DIALECTS: Final[dict[str, Callable[[_Object], Record | None]]] = {
    "nginx_json": _nginx,
    "caddy": _caddy,
    "traefik_json": _traefik,
    "envoy": _envoy,
}


def _record(ts_us: int | None, status: object, size: object, *texts: bytes) -> Record | None:
    code, sent = _whole(status), _whole(size)
    address, user, host, method, target, protocol, referrer, agent = texts
    if ts_us is None or code is None or not 0 <= code <= 999:
        return None
    if not address or len(address) > ADDRESS_MAX_BYTES:
        return None
    fields = (address, user, host, method, target, protocol, referrer, agent)
    return Record(Kind.ACCESS, ts_us, code, min(max(sent or 0, 0), 10**18 - 1), fields)


def _whole(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
        return int(value)
    return None


def _text(value: object) -> bytes:
    """A member as bytes on one line; ``-`` and what is not text are nothing."""
    if not isinstance(value, str) or value == "-":
        return b""
    return value.encode("utf-8", "backslashreplace")


def _header(headers: _Object, name: str) -> bytes:
    values = headers.get(name)
    return _text(values[0]) if isinstance(values, list) and values else _text(values)


def _without_port(address: bytes) -> bytes:
    """``10.0.0.13:40000`` and ``[::1]:40000`` without the port; an address alone as it is."""
    if address.startswith(b"["):
        return address[1:].partition(b"]")[0]
    head, colon, port = address.rpartition(b":")
    return head if colon and b":" not in head and port.isdigit() else address
