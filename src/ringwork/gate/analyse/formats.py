"""The formats of logs (gate specification 3.10): which one a file is in, and one line at a time.

``parse_line`` is the authority. The quick parsers of ``compiled`` and ``plain`` accept a part of
what it accepts, with the same result, and hand it every line they are not sure of.

A malformed request line (bytes of a TLS handshake, binary, nothing) is data: the line parses, its
method is empty and its target is what was sent, as the server escaped it.
"""

from __future__ import annotations

import re
from typing import Final

from ringwork.gate.analyse.columns import Kind, Record
from ringwork.gate.analyse.json_lines import parse_json
from ringwork.gate.analyse.moments import clf_us, error_us, iso_us

FORMATS: Final = (
    "auto", "common", "combined", "vhost_combined", "nginx_error", "nginx_json", "caddy",
    "traefik", "traefik_json", "envoy", "alb", "litespeed",
)  # fmt: skip
"""What ``--format`` takes. A file may hold several under ``auto``: each line is looked at."""

CLF_FORMATS: Final = frozenset({"common", "combined", "vhost_combined", "traefik", "litespeed"})
"""The common log format and what grew from it: one parser reads them all."""
JSON_FORMATS: Final = frozenset({"nginx_json", "caddy", "traefik_json", "envoy"})

ADDRESS_MAX_BYTES: Final = 255
"""The longest host name (RFC 1035); an address is shorter."""
METHOD_MAX_BYTES: Final = 32

CLF: Final = re.compile(
    rb'^"?([^ \n\[]+) ([^ \n\[]+) ([^\n\[]+) \[([^\]\n]{26})\] '
    rb'"([^"\\\n]*(?:\\[^\n][^"\\\n]*)*)" (\d{3}) (\d{1,18}|-)'
    rb'(?: "([^"\\\n]*(?:\\[^\n][^"\\\n]*)*)" "([^"\\\n]*(?:\\[^\n][^"\\\n]*)*)"[^\n]*'
    rb'|(?: (?!")[^\n]*)?\r?)$',
    re.MULTILINE,
)
"""host ident user [time] "request" status bytes, "referrer" "agent", and what servers append."""

_METHOD: Final = re.compile(rb"[A-Za-z_-]{1,%d}\Z" % METHOD_MAX_BYTES)
_ADDRESS_LIKE: Final = re.compile(rb"[0-9A-Fa-f]*[.:][0-9A-Fa-f.:]*\Z")
_CRI: Final = re.compile(rb"^\d{4}-\d\d-\d\dT\S+ std(?:out|err) [FP] ")
CRI_PREFIX: Final = re.compile(rb"(?m)^\d{4}-\d\d-\d\dT\S+ std(?:out|err) F ")
CRI_PARTIAL: Final = re.compile(
    rb"(?m)^(\d{4}-\d\d-\d\dT\S+ std(?:out|err) )P ([^\n]*)\n"
    rb"\d{4}-\d\d-\d\dT\S+ std(?:out|err) ([FP]) "
)
_CRI_PARTIAL_LINE: Final = re.compile(rb"\d{4}-\d\d-\d\dT\S+ std(?:out|err) P ")
_ERROR: Final = re.compile(
    rb"^(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[(\w+)\] \d+#\d+: (?:\*\d+ )?([^\n]*)$"
)
_ERROR_CLIENT: Final = re.compile(rb", client: ([^,\s]+)")
_ERROR_SERVER: Final = re.compile(rb", server: ([^,\s]*)")
_ERROR_REQUEST: Final = re.compile(rb', request: "((?:[^"\\]|\\.)*)"')
_ERROR_HOST: Final = re.compile(rb', host: "([^"]*)"')
_ERROR_REFERRER: Final = re.compile(rb', referrer: "([^"]*)"')
_ERROR_USER: Final = re.compile(rb'^user "((?:[^"\\]|\\.)*)"[ :]')
_ALB: Final = re.compile(
    rb"^(?:https?|h2|grpcs|wss?) (\S+) \S+ (\S+):\d+ \S+ \S+ \S+ \S+ "
    rb'(\d{3}|-) (?:\d{3}|-) \d+ (\d{1,18}) "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"'
)


def detect(sample: bytes) -> str:
    """The format of most of the first lines; what cannot be told apart is ``auto`` itself.

    ``sample`` is the beginning of the file, cut at a line's end.
    """
    votes: dict[str, int] = {}
    for line in sample.split(b"\n")[:DETECTION_LINES]:
        if line.strip():
            name = _shape(_CRI.sub(b"", line.removesuffix(b"\r"), count=1))
            votes[name] = votes.get(name, 0) + 1
    return max(votes, key=lambda name: votes[name]) if votes else "auto"


DETECTION_LINES: Final = 200


def has_cri_prefix(sample: bytes) -> bool:
    """Whether a container runtime wrote ``<time> stdout F `` before each line (the CRI)."""
    return _CRI.match(sample) is not None


def without_cri(block: bytes) -> bytes:
    """The lines as the server wrote them: prefixes gone, partial lines (P) joined."""
    while b" P " in block:
        joined = CRI_PARTIAL.sub(rb"\1\3 \2", block)
        if joined == block:
            break
        block = joined
    return CRI_PREFIX.sub(b"", block)


def held_back(block: bytes) -> tuple[bytes, bytes]:
    """The lines of a block, and those at its end that go on in the next one."""
    end = len(block)
    while end:
        start = block.rfind(b"\n", 0, end - 1) + 1
        if _CRI_PARTIAL_LINE.match(block, start) is None:
            break
        end = start
    return block[:end], block[end:]


def parse_line(line: bytes, name: str = "auto") -> Record | None:
    """One line in the named format, or in whichever it is; None where it is in none of them."""
    line = line.removesuffix(b"\r")
    if name != "auto":
        return _by_name(line, name)
    if line.startswith(b"{"):
        return parse_json(line, name)
    if line[:4].isdigit() and line[4:5] == b"/":
        return _parse_error(line)
    runtime = _CRI.match(line) if line[4:5] == b"-" else None
    if runtime is not None:
        return parse_line(line[runtime.end() :])
    return _parse_clf(line) or _parse_alb(line)


def split_request(request: bytes) -> tuple[bytes, bytes, bytes]:
    """Method, target and version of a request line; ("", all of it, "") where it is malformed.

    A target may hold spaces, as clients send them. Without a version the line is HTTP/0.9.
    """
    first, last = request.find(b" "), request.rfind(b" ")
    if first > 0 and _METHOD.match(request[:first]) is not None:
        method = request[:first]
        if last > first and request.startswith(b"HTTP/", last + 1):
            return method, request[first + 1 : last], request[last + 1 :]
        if last == first and last + 1 < len(request):
            return method, request[first + 1 :], b""
    return b"", request, b""


def split_head(first: bytes, second: bytes, rest: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Virtual host, address and user of what stands before the time.

    Three words are address, ident and user (which may hold spaces); a second word that is an
    address makes the first one the virtual host, whose port is left out.
    """
    if second == b"-" or _ADDRESS_LIKE.match(second) is None:
        host, address, user = b"", first, rest
    else:
        ident, gap, user = rest.partition(b" ")
        if not gap or not ident:
            return None
        name, colon, port = first.rpartition(b":")
        host, address = (name if colon and port.isdigit() else first), second
    if len(address) > ADDRESS_MAX_BYTES:
        return None
    return host, address, b"" if user == b"-" else user


def _by_name(line: bytes, name: str) -> Record | None:
    if name in CLF_FORMATS:
        return _parse_clf(line)
    if name in JSON_FORMATS:
        return parse_json(line, name)
    return _parse_error(line) if name == "nginx_error" else _parse_alb(line)


def _shape(line: bytes) -> str:
    record = parse_line(line)
    if record is None:
        return "auto"
    if line.startswith(b"{"):
        return next(one for one in sorted(JSON_FORMATS) if parse_json(line, one) is not None)
    if record.kind != Kind.ACCESS:
        return "nginx_error"
    return "combined" if CLF.match(line) is not None else "alb"


def _parse_clf(line: bytes) -> Record | None:
    found = CLF.match(line)
    if found is None or found.end() != len(line):
        return None
    first, second, rest, time, request, status, size, referrer, agent = found.groups()
    ts_us = clf_us(time)
    head = split_head(first, second, rest)
    if ts_us is None or head is None:
        return None
    host, address, user = head
    texts = (
        address, user, host, *split_request(request),
        _known(referrer or b""), _known(agent or b""),
    )  # fmt: skip
    return Record(Kind.ACCESS, ts_us, int(status), 0 if size == b"-" else int(size), texts)


def _parse_error(line: bytes) -> Record | None:
    """The error log of nginx; only lines about a client say who did what."""
    found = _ERROR.match(line)
    client = None if found is None else _ERROR_CLIENT.search(line)
    if found is None or client is None:
        return None
    ts_us = error_us(found[1])
    message = found[3]
    if ts_us is None or len(client[1]) > ADDRESS_MAX_BYTES:
        return None
    kind, status = _kind_of_error(message)
    user = _ERROR_USER.match(message)
    method, target, protocol = split_request(_first(_ERROR_REQUEST, line))
    host = _first(_ERROR_HOST, line) or _first(_ERROR_SERVER, line)
    texts = (
        client[1], user[1] if user else b"", host, method, target, protocol,
        _known(_first(_ERROR_REFERRER, line)), b"",
    )  # fmt: skip
    return Record(kind, ts_us, status, 0, texts)


def _kind_of_error(message: bytes) -> tuple[int, int]:
    """What happened, and the status that nginx answers in that case (503 is its default)."""
    if message.startswith(b"limiting requests, excess:"):
        return Kind.LIMITED, 503
    if message.startswith(b'user "') and (
        b'" was not found in "' in message or b": password mismatch" in message
    ):
        return Kind.AUTH_FAILURE, 401
    return Kind.OTHER_ERROR, 0


def _parse_alb(line: bytes) -> Record | None:
    """AWS application load balancers: quoted fields by place, absolute targets by nature."""
    found = _ALB.match(line)
    if found is None:
        return None
    time, address, status, size, request, agent = found.groups()
    ts_us = iso_us(time.decode("ascii", "replace"))
    if ts_us is None or len(address) > ADDRESS_MAX_BYTES:
        return None
    method, target, protocol = split_request(request)
    host, target = _origin_form(target) if method else (b"", target)
    texts = (
        address.strip(b"[]"), b"", host, method, target, protocol, b"", _known(agent),
    )  # fmt: skip
    return Record(Kind.ACCESS, ts_us, 0 if status == b"-" else int(status), int(size), texts)


def _origin_form(target: bytes) -> tuple[bytes, bytes]:
    """Host and path of ``https://host:443/path``: the balancer writes every target like this."""
    scheme, mark, rest = target.partition(b"://")
    if not mark or scheme not in {b"http", b"https", b"ws", b"wss"}:
        return b"", target
    authority, slash, path = rest.partition(b"/")
    name, colon, port = authority.rpartition(b":")
    return (name if colon and port.isdigit() else authority), slash + path or b"/"


def _first(pattern: re.Pattern[bytes], line: bytes) -> bytes:
    found = pattern.search(line)
    return found[1] if found else b""


def _known(value: bytes) -> bytes:
    return b"" if value == b"-" else value
