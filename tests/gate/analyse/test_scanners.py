"""The compiled scanners and their twin give the same columns, whatever bytes come."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from ringwork.gate.analyse import compiled, features, features_compiled, features_plain, plain
from ringwork.gate.analyse.columns import FIELDS, Columns
from ringwork.gate.analyse.engine import parse_block

ENGINES = (compiled, plain)

# Pieces of lines, right and wrong, so that mutations stay close to what parses.
words = st.sampled_from(
    [b"192.0.2.7", b"::1", b"h.example", b"h.example:80", b"-", b"a b", b'"', b"[", b"]", b"\\",
     b"\\\"", b" ", b"", b"\x00", b"\x80\xff", b"\r", b"a.b:c", b"1.2.3.4", b"user name", b":1"]
)  # fmt: skip
times = st.sampled_from(
    [b"10/Oct/2000:13:55:36 -0700", b"29/Feb/2023:00:00:00 +0000", b"29/Feb/2024:00:00:00 +2359",
     b"31/Dec/1999:23:59:60 +0000", b"01/Jan/1970:00:00:00 +0000", b"01/Jan/1971:00:00:00 -0000",
     b"10/Oct/2000:13:55:36 +2400", b"10/Oct/2000:13:55:36 +0060", b"10/oct/2000:13:55:36 +0000",
     b"00/Oct/2000:13:55:36 +0000", b"31/Dec/2198:23:59:59 -1200", b"01/Jan/2200:00:00:00 +0000",
     b"31/Dec/2199:23:59:59 -0100", b"10/Oct/2000 13:55:36 +0000", b"+1/Oct/2000:13:55:36 +0000"]
)  # fmt: skip
requests = st.one_of(
    st.sampled_from(
        [b"GET / HTTP/1.1", b"GET /a b HTTP/1.1", b"GET /", b"GET", b"", b" ", b"GET  HTTP/1.1",
         b"GET / HTTP/", b"G\\ET / HTTP/1.1", b"GET /\\\" HTTP/1.1", b"/ GET HTTP/1.1", b"A" * 33
         + b" / HTTP/1.1", b"GET /\\x16 HTTP/1.1", b"GET / http/1.1", b"GET\t/ HTTP/1.1",
         b"GET / HTTP/1.1 ", b" GET / HTTP/1.1", b"GET HTTP/1.1"]
    ),
    st.binary(max_size=30),
)  # fmt: skip
tails = st.one_of(
    st.sampled_from(
        [b" 200 5", b" 200 -", b" 200 5 ", b" 200 5\r", b" 200 5 0.1", b' 200 5 "-" "-"',
         b' 404 12 "http://r/" "agent" "-"', b' 200 5 "-"', b' 200 5 "-" "cut', b' 200 5 "a\\" "b"',
         b" 200", b" 2000 5", b" 200 " + b"9" * 18, b" 200 " + b"9" * 19, b" 20x 5", b" 200 5x",
         b" 200 --", b' 200 5"-" "-"', b' 200 5 "-"  "-"', b' 200 5 "-" "-"x', b" 200 5\r\r"]
    ),
    st.binary(max_size=20),
)  # fmt: skip


@st.composite
def clf_lines(draw) -> bytes:
    head = b" ".join(draw(st.lists(words, min_size=2, max_size=5)))
    line = head + b" [" + draw(times) + b'] "' + draw(requests) + b'"' + draw(tails)
    cut = draw(st.integers(0, len(line)))
    return line if draw(st.booleans()) else line[:cut] + draw(st.binary(max_size=3)) + line[cut:]


names = st.sampled_from(
    [b"time_iso8601", b"remote_addr", b"remote_user", b"request_method", b"request_uri", b"status",
     b"body_bytes_sent", b"http_referer", b"http_user_agent", b"http_host", b"host", b"x",
     b"time_local", b"server_protocol"]
)  # fmt: skip
values = st.sampled_from(
    [b'"2024-02-29T23:59:59+05:30"', b'"2024-02-29T23:59:59Z"', b'"2023-02-29T23:59:59Z"',
     b'"2024-02-29T23:59:59.5Z"', b'"192.0.2.7"', b'"-"', b'""', b'"a\\"b"', b'"\\u00e9"',
     b'"\xc3\xa9"', b'"\xff"', b"200", b'"200"', b"0", b"00", b"-1", b"1.5", b"1e3", b"1000",
     b"null", b"true", b"[1]", b"{}", b'"9' + b"9" * 18 + b'"', b"9" * 18, b"", b"1.", b'"x']
)  # fmt: skip
blanks = st.sampled_from([b"", b" ", b"\t"])


@st.composite
def json_lines(draw) -> bytes:
    right = draw(st.booleans())
    members = [
        draw(blanks) + b'"' + draw(names) + b'":' + draw(blanks) + draw(values) + draw(blanks)
        for _ in range(draw(st.integers(0, 6)))
    ]
    if right:
        members += [b'"remote_addr":"192.0.2.7"', b'"status":200']
        members.append(b'"time_iso8601":"2024-02-29T23:59:59Z"')
    line = b"{" + b",".join(draw(st.permutations(members))) + b"}"
    cut = draw(st.integers(0, len(line)))
    return line if draw(st.booleans()) else line[:cut] + draw(st.binary(max_size=3)) + line[cut:]


def block_of(lines: list[bytes]) -> bytes:
    return b"\n".join(lines) + b"\n"


def both(block: bytes, shape: str) -> tuple[Columns, Columns]:
    first, second = (parse_block(block, shape, engine=one) for one in ENGINES)
    return first, second


@given(st.lists(clf_lines(), max_size=6).map(block_of))
@example(b"\n\r\n\n")
@example(b'" - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5\n')
@example(b'a - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5\n')
def test_lines_of_the_common_format_are_the_same_for_both(block) -> None:
    first, second = both(block, "combined")
    assert list(first.records()) == list(second.records())
    assert (first.skipped, first.samples) == (second.skipped, second.samples)


@given(st.lists(json_lines(), max_size=6).map(block_of))
@example(
    b'{"remote_addr":"192.0.2.7","status":200,"time_iso8601":"2024-02-29T23:59:59Z","x":1.5}\n'
)
def test_lines_of_json_are_the_same_for_both(block) -> None:
    first, second = both(block, "nginx_json")
    assert list(first.records()) == list(second.records())
    assert (first.skipped, first.samples) == (second.skipped, second.samples)


@given(st.binary(max_size=400), st.sampled_from(["combined", "nginx_json", "caddy"]))
def test_no_bytes_make_a_scanner_fail(noise, shape) -> None:
    block = noise + b"\n"
    first, second = both(block, shape)
    assert list(first.records()) == list(second.records())
    lines = [one for one in block.split(b"\n") if one not in (b"", b"\r")]
    assert len(first) + first.skipped == len(lines)


@given(st.lists(st.binary(max_size=6).filter(lambda one: b"\n" not in one), max_size=40))
def test_codes_number_values_as_they_come(values) -> None:
    buffer = b"".join(values)
    ends = np.cumsum([len(one) for one in values], dtype=np.int64).astype(np.int32)
    starts = np.concatenate(([0], ends[:-1])).astype(np.int32) if values else ends
    none = np.zeros(len(values), np.int64)
    columns = Columns(
        buffer + b"\n",
        np.repeat(starts[:, None], FIELDS, axis=1).copy(),
        np.repeat(ends[:, None], FIELDS, axis=1).copy(),
        none, none.astype(np.int16), none, none.astype(np.uint8), 0, [],
    )  # fmt: skip
    order = list(dict.fromkeys(values))
    for engine in ENGINES:
        codes, firsts = engine.encode(columns, 3)
        assert [order[code] for code in codes.tolist()] == values
        assert [values[row] for row in firsts.tolist()] == order


whole = st.integers(0, 2**31)
lines = st.lists(
    st.tuples(
        st.integers(0, 2), st.integers(1_700_000_000_000_000, 1_700_000_400_000_000),
        st.sampled_from([200, 304, 404, 401, 429, 500, 302]), st.integers(0, 10**9),
        st.integers(0, 31), st.integers(0, 5), st.integers(0, 3), st.integers(0, 5),
        st.integers(0, 9), st.integers(-1, 9), whole, whole,
    ),
    max_size=60,
)  # fmt: skip


@given(lines)
def test_features_are_the_same_bits_for_both(given_lines) -> None:
    rows = np.array([one[0] for one in given_lines], np.int64)
    table = np.array([one[1:] for one in given_lines], np.int64).reshape(len(rows), 11)
    states = []
    for engine in (features_compiled, features_plain):
        real = np.zeros((3, features.REALS))
        numbers = np.zeros((3, features.WHOLES), np.int64)
        engine.observe(rows, table, real, numbers)
        states.append((real, numbers, features.derive(real, numbers)))
    (real, numbers, derived), other = states
    assert np.array_equal(real, other[0])
    assert np.array_equal(numbers, other[1])
    assert np.array_equal(derived, other[2])
    assert np.isfinite(derived).all()
    assert numbers[:, features.REQUESTS].sum() == len(rows)
    assert (derived[:, 5:17].sum(axis=1) < 1.0001).all()
