"""robots.txt: RFC 9309's own examples, and where protego reads otherwise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protego import Protego

from ringwork.gate.identity import robots
from ringwork.gate.identity.robots import allowed, of_answer

RFC_5_1 = """User-Agent: *
Disallow: *.gif$
Disallow: /example/
Allow: /publications/

User-Agent: foobot
Disallow:/
Allow:/example/page.html
Allow:/example/allowed.gif

User-Agent: barbot
User-Agent: bazbot
Disallow: /example/page.html

User-Agent: quxbot
EOF
"""


@pytest.mark.parametrize(
    ("agent", "path", "expected"),
    [
        ("other", "/example/x", False), ("other", "/a.gif", False), ("other", "/a.gif?x", True),
        ("other", "/publications/a", True), ("foobot", "/", False), ("foobot", "/example/page.html", True),
        ("FooBot", "/example/allowed.gif", True), ("barbot", "/example/page.html", False),
        ("bazbot", "/example/page.html", False), ("barbot", "/other", True), ("quxbot", "/example/", True),
        ("foobot", "/robots.txt", True),
    ],
)  # fmt: skip
def test_the_example_of_the_standard(agent, path, expected):
    assert allowed(RFC_5_1, agent, f"https://a.example{path}") is expected
    assert allowed(RFC_5_1, agent, path) is expected


def test_the_longest_rule_counts_and_allow_in_a_tie():
    text = "user-agent: *\nallow: /example/page/\ndisallow: /example/page/disallowed.gif\n"
    assert not allowed(text, "x", "https://a/example/page/disallowed.gif")
    assert allowed(text, "x", "https://a/example/page/other")
    assert allowed("user-agent: *\ndisallow: /page\nallow: /page", "x", "/page")
    assert allowed("user-agent: *\nallow: /p\ndisallow: /", "x", "/page")
    assert not allowed("user-agent: *\nallow: /$\ndisallow: /", "x", "/page")


def test_groups_of_one_crawler_are_one_group():
    text = "user-agent: a\ndisallow: /x\n\nuser-agent: b\ndisallow: /y\n\nUser-Agent: A\ndisallow: /z\n"
    assert [allowed(text, "a", path) for path in ("/x", "/y", "/z")] == [False, True, False]


def test_other_records_do_not_end_a_group():
    text = "user-agent: a\nsitemap: https://a/s.xml\ncrawl-delay: 5\nuser-agent: b\ndisallow: /\n"
    assert not allowed(text, "a", "/x")
    assert not allowed(text, "b", "/x")
    assert Protego.parse(text).can_fetch("https://a/x", "a")  # takes the delay for the group's end


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/foo/bar?baz=quz", "/foo/bar?baz=quz", False),
        ("/foo/bar?baz=https://foo.bar", "/foo/bar?baz=https%3A%2F%2Ffoo.bar", True),
        ("/foo/bar/ツ", "/foo/bar/%E3%83%84", False), ("/foo/bar/%E3%83%84", "/foo/bar/ツ", False),
        ("/foo/bar/%62%61%7A", "/foo/bar/baz", False), ("/a%2fb", "/a/b", True), ("/a%2fb", "/a%2Fb", False),
        ("/*/x", "/a/b/x", False), ("/a*b*c$", "/abbc", False), ("/a*b*c$", "/abbcd", True),
        ("/a$", "/a", False), ("/a$", "/ab", True), ("*/x", "/y/x", False), ("a", "/ab", False),
    ],
)  # fmt: skip
def test_paths_are_compared_octet_by_octet_in_one_spelling(pattern, path, expected):
    assert (
        allowed(f"user-agent: *\ndisallow: {pattern}", "x", "https://a.example" + path) is expected
    )


DIFFERENCES = {
    "a group's name is the whole token": ("user-agent: foo\ndisallow: /", "foobot", "/x", True),
    "misspelt records are no records": ("user-agent: *\ndissallow: /", "x", "/x", True),
    "a record has a colon": ("user-agent: *\ndisallow /", "x", "/x", True),
    "allowing a page allows no folder": (
        "user-agent: *\nallow: /index.html\ndisallow: /", "x", "/", False),
    "the end is not a dollar sign": ("user-agent: *\ndisallow: /a$", "x", "/a$b", True),
    "lines end with CR or LF": ("user-agent: *\ndisallow: /a\u2028b", "x", "/a", True),
    "a byte order mark is none of the text": ("\ufeffuser-agent: *\ndisallow: /", "x", "/x", False),
}  # fmt: skip


@pytest.mark.parametrize("what", DIFFERENCES)
def test_protego_reads_otherwise_where(what):
    text, agent, path, expected = DIFFERENCES[what]
    assert allowed(text, agent, "https://a.example" + path) is expected
    assert Protego.parse(text).can_fetch("https://a.example" + path, agent) is not expected


WORDS = st.lists(
    st.sampled_from(["/", "a", "b", "*", "ab", "%41", "?", "="]), min_size=1, max_size=5
)
RULES = st.lists(
    st.tuples(
        st.sampled_from(["allow", "disallow", "Disallow"]), WORDS.map("".join), st.booleans()
    ),
    max_size=6,
)


@given(
    st.lists(st.tuples(st.sampled_from(["*", "xbot", "ybot"]), RULES), max_size=4),
    WORDS.map("".join),
)
def test_elsewhere_protego_agrees(groups, path):
    lines = []
    for agent, rules in groups:
        lines += [f"User-agent: {agent}", "disallow:"]  # an empty rule ends the head of a group
        lines += [f"{kind}: /{text}{'$' * ends}" for kind, text, ends in rules]
    text, url = "\n".join(lines), "https://a.example/" + path.replace("*", "").lstrip("/")
    theirs = Protego.parse(text)
    for agent in ("xbot", "ybot", "zbot"):
        assert allowed(text, agent, url) is theirs.can_fetch(url, agent), (text, agent, url)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, False),
        (204, False),
        (404, True),
        (403, True),
        (500, False),
        (301, False),
        (None, False),
    ],
)
def test_answers_that_are_not_the_file(status, expected):
    body = b"user-agent: *\ndisallow: /"
    assert of_answer(status, body).allowed("x", "/a") is expected


def test_five_hundred_kibibytes_are_read():
    rule = b"\nuser-agent: *\ndisallow: /\n"
    room = robots.PARSED_MAX_BYTES - len(rule)
    assert not allowed(b"#" + b"a" * (room - 1) + rule, "x", "/a")
    assert allowed(b"#" + b"a" * robots.PARSED_MAX_BYTES + rule, "x", "/a")


@given(st.binary(max_size=300), st.text(max_size=20), st.text(max_size=40))
def test_any_file_is_read(text, agent, url):
    assert allowed(text, agent, url) in (True, False)


def test_a_pattern_of_stars_is_matched_in_linear_time():
    text = "user-agent: *\ndisallow: /" + "*a" * 5000 + "$"
    assert allowed(text, "x", "/" + "a" * 20_000 + "b")
