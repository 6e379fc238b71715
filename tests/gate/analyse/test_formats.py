"""Every format of gate specification 3.10, by hand."""

from datetime import UTC, datetime

import pytest

from ringwork.gate.analyse.columns import Kind, Record
from ringwork.gate.analyse.engine import parse_block, warm
from ringwork.gate.analyse.formats import FORMATS, detect, parse_line, without_cri


def us(*parts: int, micro: int = 0) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 1_000_000 + micro


FIREFOX = b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

# Name, line, the numbers of its record, its texts from address to agent.
LINES: list[tuple[str, bytes, tuple[int, int, int, int], tuple[bytes, ...]]] = [
    (
        "common",
        b'192.0.2.7 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326',
        (0, us(2000, 10, 10, 20, 55, 36), 200, 2326),
        (b"192.0.2.7", b"frank", b"", b"GET", b"/apache_pb.gif", b"HTTP/1.0", b"", b""),
    ),
    (
        "combined",
        b'2001:db8::1 - - [29/Feb/2024:23:59:59 +0530] "POST /a?b=c HTTP/2.0" 404 - '
        b'"https://x.example/" "' + FIREFOX + b'" 0.005',
        (0, us(2024, 2, 29, 18, 29, 59), 404, 0),
        (b"2001:db8::1", b"", b"", b"POST", b"/a?b=c", b"HTTP/2.0", b"https://x.example/", FIREFOX),
    ),
    (
        "combined",
        b'192.0.2.7 - John Doe [10/Oct/2000:13:55:36 +0000] "GET /a b c HTTP/1.1" 200 1 "-" '
        b'"say \\"hello\\""',
        (0, us(2000, 10, 10, 13, 55, 36), 200, 1),
        (b"192.0.2.7", b"John Doe", b"", b"GET", b"/a b c", b"HTTP/1.1", b"",
         b'say \\"hello\\"'),
    ),
    (
        "vhost_combined",
        b'shop.example:443 192.0.2.7 - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 5 "-" '
        b'"curl/8.0"',
        (0, us(2000, 10, 10, 13, 55, 36), 200, 5),
        (b"192.0.2.7", b"", b"shop.example", b"GET", b"/", b"HTTP/1.1", b"", b"curl/8.0"),
    ),
    (
        "litespeed",
        b'"192.0.2.7 - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8.0""',
        (0, us(2000, 10, 10, 13, 55, 36), 200, 5),
        (b"192.0.2.7", b"", b"", b"GET", b"/", b"HTTP/1.1", b"", b"curl/8.0"),
    ),
    (
        "traefik",
        b'192.0.2.7 - - [10/Oct/2000:13:55:36 +0000] "GET /t HTTP/1.1" 200 5 "-" "curl/8.0" 17 '
        b'"web@docker" "http://10.0.0.2:80" 3ms',
        (0, us(2000, 10, 10, 13, 55, 36), 200, 5),
        (b"192.0.2.7", b"", b"", b"GET", b"/t", b"HTTP/1.1", b"", b"curl/8.0"),
    ),
    (
        "nginx_error",
        b'2021/09/30 09:23:53 [error] 19#19: *17 user "foo" was not found in "/tmp/a.htpasswd", '
        b'client: 192.0.2.7, server: _, request: "GET /x HTTP/1.1", host: "h.example"',
        (Kind.AUTH_FAILURE, us(2021, 9, 30, 9, 23, 53), 401, 0),
        (b"192.0.2.7", b"foo", b"h.example", b"GET", b"/x", b"HTTP/1.1", b"", b""),
    ),
    (
        "nginx_error",
        b'2021/09/30 09:23:53 [error] 19#19: *17 user "foo": password mismatch, '
        b'client: 192.0.2.7, server: s.example, request: "GET /x HTTP/1.1"',
        (Kind.AUTH_FAILURE, us(2021, 9, 30, 9, 23, 53), 401, 0),
        (b"192.0.2.7", b"foo", b"s.example", b"GET", b"/x", b"HTTP/1.1", b"", b""),
    ),
    (
        "nginx_error",
        b"2021/12/02 11:53:15 [error] 40#40: *4 limiting requests, excess: 5.428 by zone "
        b'"root", client: ::1, server: , request: "GET / HTTP/1.1", host: "la.example"',
        (Kind.LIMITED, us(2021, 12, 2, 11, 53, 15), 503, 0),
        (b"::1", b"", b"la.example", b"GET", b"/", b"HTTP/1.1", b"", b""),
    ),
    (
        "nginx_error",
        b'2021/12/02 11:53:15 [error] 40#40: *4 open() "/srv/x" failed (2: No such file or '
        b'directory), client: 192.0.2.7, server: s, request: "GET /x HTTP/1.1", host: "h"',
        (Kind.OTHER_ERROR, us(2021, 12, 2, 11, 53, 15), 0, 0),
        (b"192.0.2.7", b"", b"h", b"GET", b"/x", b"HTTP/1.1", b"", b""),
    ),
    (
        "nginx_json",
        b'{"time_iso8601":"2024-02-29T23:59:59+05:30","remote_addr":"192.0.2.7","remote_user":"-",'
        b'"request_method":"GET","request_uri":"/a?b=%20","status":"404","body_bytes_sent":"17",'
        b'"http_referer":"","http_user_agent":"a \\"b\\" c"}',
        (0, us(2024, 2, 29, 18, 29, 59), 404, 17),
        (b"192.0.2.7", b"", b"", b"GET", b"/a?b=%20", b"", b"", b'a "b" c'),
    ),
    (
        "caddy",
        b'{"level":"info","ts":1646861401.5241024,"logger":"http.log.access","msg":"handled '
        b'request","request":{"remote_ip":"10.0.0.1","client_ip":"192.0.2.7","proto":"HTTP/2.0",'
        b'"method":"GET","host":"h.example","uri":"/c","headers":{"User-Agent":["curl/7.82.0"],'
        b'"Referer":["https://r.example/"]}},"user_id":"ann","size":10900,"status":200}',
        (0, 1_646_861_401_524_102, 200, 10900),
        (b"192.0.2.7", b"ann", b"h.example", b"GET", b"/c", b"HTTP/2.0", b"https://r.example/",
         b"curl/7.82.0"),
    ),
    (
        "traefik_json",
        b'{"ClientHost":"192.0.2.7","ClientUsername":"-","DownstreamContentSize":19,'
        b'"DownstreamStatus":404,"RequestHost":"h.example","RequestMethod":"GET","RequestPath":'
        b'"/t","RequestProtocol":"HTTP/1.1","StartUTC":"2022-03-09T21:30:01.123456789Z",'
        b'"request_User-Agent":"curl/7.82.0","time":"2022-03-09T21:30:02Z"}',
        (0, us(2022, 3, 9, 21, 30, 1, micro=123_456), 404, 19),
        (b"192.0.2.7", b"", b"h.example", b"GET", b"/t", b"HTTP/1.1", b"", b"curl/7.82.0"),
    ),
    (
        "envoy",
        b'{"start_time":"2025-12-31T16:40:00.100Z","method":"GET","x-envoy-origin-path":"/p",'
        b'"path":"/q","response_code":404,"user-agent":"Mozilla/5.0","downstream_remote_address":'
        b'"[2001:db8::1]:40000",":authority":"crawl.internal"}',
        (0, us(2025, 12, 31, 16, 40, 0, micro=100_000), 404, 0),
        (b"2001:db8::1", b"", b"crawl.internal", b"GET", b"/p", b"", b"", b"Mozilla/5.0"),
    ),
    (
        "alb",
        b"https 2018-07-02T22:23:00.186641Z app/lb/50dc6c495c0c9188 192.0.2.7:2817 10.0.0.1:80 "
        b'0.086 0.048 0.037 200 200 0 57 "GET https://www.example.com:443/a?b HTTP/1.1" '
        b'"curl/7.46.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:x "Root=1-58337281"',
        (0, us(2018, 7, 2, 22, 23, 0, micro=186_641), 200, 57),
        (b"192.0.2.7", b"", b"www.example.com", b"GET", b"/a?b", b"HTTP/1.1", b"",
         b"curl/7.46.0"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "line", "numbers", "texts"), LINES)
def test_a_line_means_what_it_says(name, line, numbers, texts) -> None:
    assert parse_line(line) == Record(*numbers, texts)
    assert parse_line(line, name) == Record(*numbers, texts)
    runtime = b"2026-01-02T03:04:05.678901234+01:00 stdout F " + line
    assert parse_line(runtime) == Record(*numbers, texts)


def test_the_list_above_has_every_format() -> None:
    assert {name for name, *_ in LINES} == set(FORMATS) - {"auto"}


@pytest.mark.parametrize(("name", "line", "numbers", "texts"), LINES)
def test_the_scanner_of_its_format_agrees(name, line, numbers, texts) -> None:
    columns = parse_block(line + b"\r\n\n" + line + b"\n", detect(line + b"\n"), engine=warm())
    assert list(columns.records()) == [Record(*numbers, texts)] * 2
    assert columns.skipped == 0


@pytest.mark.parametrize(
    ("request_line", "method", "target", "version"),
    [
        (b"GET /", b"GET", b"/", b""),  # HTTP/0.9
        (b"", b"", b"", b""),
        (b"-", b"", b"-", b""),
        (b"\\x16\\x03\\x01\\x02\\x00", b"", b"\\x16\\x03\\x01\\x02\\x00", b""),
        (b"\x16\x03\x01\x80", b"", b"\x16\x03\x01\x80", b""),
        (b"GET / HTTP/1.1 x", b"", b"GET / HTTP/1.1 x", b""),
        (b"CONNECT h:443 HTTP/1.1", b"CONNECT", b"h:443", b"HTTP/1.1"),
        (b"PROPFIND_X-Y / HTTP/9.9", b"PROPFIND_X-Y", b"/", b"HTTP/9.9"),
    ],
)
def test_a_malformed_request_line_is_data(request_line, method, target, version) -> None:
    line = b'192.0.2.7 - - [10/Oct/2000:13:55:36 +0000] "' + request_line + b'" 400 0 "-" "-"'
    record = parse_line(line)
    assert record is not None
    assert record.texts[3:6] == (method, target, version)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"hello",
        b'192.0.2.7 - - [31/Feb/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 5',
        b'192.0.2.7 - - [10/Okt/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 5',
        b'192.0.2.7 - - [10/Oct/2000:25:55:36 +0000] "GET / HTTP/1.1" 200 5',
        b'192.0.2.7 - - [10/Oct/1900:13:55:36 +0000] "GET / HTTP/1.1" 200 5',
        b'192.0.2.7 - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" 20 5',
        b'192.0.2.7 - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 5 "-" "cut off',
        b'192.0.2.7 - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1',
        b"a" * 300 + b' - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 5',
        b'{"remote_addr":"192.0.2.7"}',
        b'{"remote_addr":"192.0.2.7","time_iso8601":"yesterday","status":200}',
        b'{"remote_addr":"192.0.2.7","time_iso8601":"2024-01-01T00:00:00Z","status":2000}',
        b'{"remote_addr":' + b"[" * 5000,
        b"{" * 100_000,
        b"2021/09/30 09:23:53 [notice] 1#1: start worker process 7",
        b"2021/99/30 09:23:53 [error] 1#1: *1 x, client: 192.0.2.7",
    ],
)
def test_what_is_no_line_of_a_log_is_none(line) -> None:
    assert parse_line(line) is None


def test_a_leap_second_counts_as_the_second_before() -> None:
    line = b'192.0.2.7 - - [31/Dec/2016:23:59:60 +0000] "GET / HTTP/1.1" 200 5'
    record = parse_line(line)
    assert record is not None
    assert record.ts_us == us(2016, 12, 31, 23, 59, 59)


def test_partial_lines_of_a_container_are_joined() -> None:
    at = b"2026-01-02T03:04:05.6Z stdout "
    block = at + b"P one \n" + at + b"P two \n" + at + b"F three\n" + at + b"F four\n"
    assert without_cri(block) == b"one two three\nfour\n"


def test_bytes_that_are_no_utf8_are_written_out() -> None:
    line = (
        b'{"remote_addr":"192.0.2.7","time_iso8601":"2024-01-01T00:00:00Z","status":200,'
        b'"request_method":"GET","request_uri":"/\xff\xfe"}'
    )
    record = parse_line(line)
    assert record is not None
    assert record.texts[4] == b"/\\xff\\xfe"


def test_a_format_that_is_named_is_the_only_one_tried() -> None:
    common, error = LINES[0][1], LINES[6][1]
    block = common + b"\n" + error + b"\n"
    assert len(parse_block(block, "combined", named="combined", engine=warm())) == 1
    assert len(parse_block(block, "combined", named="auto", engine=warm())) == 2


def test_most_of_the_first_lines_say_the_format() -> None:
    for name, line, *_ in LINES:
        found = detect(b"noise\n" + (line + b"\n") * 2)
        clf = {"common", "vhost_combined", "litespeed", "traefik"}
        assert found == ("combined" if name in clf else name)
    assert detect(b"") == detect(b"\n\n") == "auto"
