"""Actors, verdicts and evidence; and that nothing in a log can hurt whoever reads it."""

import io
import tracemalloc

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.gate.analyse import compiled, plain
from ringwork.gate.analyse.actors import Actors
from ringwork.gate.analyse.behaviour import Behaviour
from ringwork.gate.analyse.blocks import blocks
from ringwork.gate.analyse.features import FEATURES
from ringwork.gate.analyse.report import to_html, to_json
from ringwork.gate.analyse.scan import Scanner, scan
from ringwork.gate.analyse.verdicts import VERDICTS, score, verdict


def line(
    target: str = "/", *, status: int = 200, method: str = "GET", agent: str = "Mozilla/5.0",
    second: int = 0, address: str = "192.0.2.7", user: str = "-", referrer: str = "-",
) -> bytes:  # fmt: skip
    at = f"10/Oct/2025:12:{second // 60:02}:{second % 60:02} +0000"
    return (
        f'{address} - {user} [{at}] "{method} {target} HTTP/1.1" {status} 5 "{referrer}" "{agent}"\n'
    ).encode()


def scanned(lines: list[bytes], by: str = "ip"):
    return scan(io.BytesIO(b"".join(lines)), by=by).result()


def refused(user: str, address: str = "192.0.2.7") -> list[bytes]:
    return [line("/x", method="POST", status=401, user=user, address=address) for _ in range(6)]


def test_the_answer_has_the_shape_of_the_specification() -> None:
    found = scanned([line(second=1), b"noise\n", *[line(f"/{n}", status=404) for n in range(11)]])
    answer = msgspec.json.decode(to_json(found))
    assert list(answer) == [
        "lines", "parsed", "skipped", "span", "actors", "clusters", "declared_bots",
    ]  # fmt: skip
    assert (answer["lines"], answer["parsed"], answer["skipped"]) == (13, 12, 1)
    assert answer["span"] == {"first": "2025-10-10T12:00:00Z", "last": "2025-10-10T12:00:01Z"}
    (actor,) = answer["actors"]
    assert list(actor) == [
        "actor", "score", "verdict", "requests", "first", "last", "reasons", "identity",
    ]  # fmt: skip
    assert actor["actor"] == "ip:192.0.2.7"
    assert (actor["score"], actor["verdict"], actor["requests"]) == (0.6, "challenge", 12)
    assert actor["reasons"] == [{"rule": "probing", "count": 11, "example": "/10"}]
    assert actor["identity"]["status"] == "unverified"
    assert answer["clusters"] == []


def test_an_address_alone_is_challenged_and_an_account_may_be_blocked() -> None:
    habits = [
        *[line(f"/{n}", status=404, user="mallory") for n in range(41)],
        *[line(f"/?author={n}", user="mallory") for n in range(6)],
        *[line(f"/a?{n}=%3cscript", user="mallory") for n in range(6)],
    ]
    (address,) = scanned(habits).actors
    (account,) = scanned(habits, by="user").actors
    assert address.score == account.score > 0.9
    assert (address.actor, address.verdict) == ("ip:192.0.2.7", "challenge")
    assert (account.actor, account.verdict) == ("user:mallory", "block")
    (visit,) = scanned(habits, by="visit").actors
    assert visit.actor.startswith("visit:192.0.2.7/")
    assert visit.verdict == "challenge"


def test_nobody_can_blame_an_account_by_failing_to_log_in_as_it() -> None:
    found = scanned([*refused("alice"), line(user="alice", address="192.0.2.8")], by="user")
    by_name = {one.actor: one for one in found.actors}
    assert by_name["user:alice"].reasons == ()
    assert [one.rule for one in by_name["ip:192.0.2.7"].reasons] == ["brute-force-401"]


def test_a_network_of_ipv6_is_one_actor() -> None:
    apart = [line(f"/{n}", status=404, address=f"2001:db8:1:2::{n:x}") for n in range(11)]
    (actor,) = scanned(apart).actors
    assert actor.actor == "ip:2001:db8:1:2::/64"
    assert actor.verdict == "challenge"
    (alone,) = scanned([line(address="2001:db8:1:2::1")] * 2).actors
    assert alone.actor == "ip:2001:db8:1:2::1"
    mapped = scanned([line(address="::ffff:192.0.2.7"), line(address="192.0.2.7")])
    assert [one.actor for one in mapped.actors] == ["ip:192.0.2.7"]


def test_who_stands_out_comes_first_then_the_busiest() -> None:
    found = scanned(
        [line(address="192.0.2.1")] * 3
        + [line(address="192.0.2.2")] * 5
        + refused("-", "192.0.2.9")
    )
    assert [one.actor for one in found.actors] == ["ip:192.0.2.9", "ip:192.0.2.2", "ip:192.0.2.1"]
    assert not found.is_clean
    assert scanned([line()]).is_clean


def test_machines_that_say_so_are_listed_and_not_believed() -> None:
    bot = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
    found = scanned([line(agent=bot), line(agent=bot, address="192.0.2.8"), line()])
    (machine,) = found.declared_bots
    assert (machine.name, machine.actors, machine.requests) == ("Googlebot", 2, 2)
    assert machine.status == "unverified"
    probing = [line(f"/{n}", status=404, agent=bot) for n in range(11)]
    assert scanned(probing).actors[0].verdict == "challenge"


@given(st.lists(st.tuples(st.floats(0.01, 0.99), st.integers(1, 1000)), max_size=8))
def test_more_evidence_never_lowers_a_score(evidence) -> None:
    scores = [score(evidence[:count]) for count in range(len(evidence) + 1)]
    assert scores == sorted(scores)
    assert 0 <= scores[0] <= scores[-1] <= 1
    assert verdict(scores[-1], is_account=False) in VERDICTS[:3]


def test_scores_by_hand() -> None:
    assert score([]) == 0
    assert score([(0.6, 1)]) == 0.6
    assert score([(0.6, 1), (0.25, 1)]) == 0.7  # 1 - 0.4 * 0.75
    assert score([(0.6, 2)]) == 0.84  # twice as often: 1 - 0.4 ** 2


messy = st.lists(
    st.one_of(
        st.builds(
            line,
            st.sampled_from(["/", "/a", "/b?c", "/x.png", "/?author=1"]),
            status=st.sampled_from([200, 404, 401]),
            second=st.integers(0, 3000),
            address=st.sampled_from(["192.0.2.1", "2001:db8::1", "2001:db8::2", "h.example"]),
            agent=st.sampled_from(["a", "b", "curl/8"]),
        ),
        st.binary(max_size=30).map(lambda noise: noise + b"\n"),
    ),
    max_size=60,
)


@settings(max_examples=50)
@given(messy, st.integers(1, 300), st.sampled_from(["ip", "user", "visit"]))
def test_blocks_and_engines_do_not_change_the_answer(lines, block_bytes, by) -> None:
    log = b"".join(lines)
    answers = []
    for engine in (compiled, plain):
        whole = Scanner(by=by, shape="combined", engine=engine)
        pieces = Scanner(by=by, shape="combined", engine=engine)
        whole.feed(log if log.endswith(b"\n") else log + b"\n")
        for block in blocks(io.BytesIO(log), block_bytes=block_bytes):
            pieces.feed(block.lines, block.too_long)
        answers += [whole.result(), pieces.result()]
        assert whole.totals.hours == pieces.totals.hours
    assert all(one == answers[0] for one in answers)


@given(st.lists(st.binary(max_size=60).filter(lambda one: b"\n" not in one), max_size=20),
       st.integers(1, 40), st.integers(1, 30))  # fmt: skip
def test_lines_above_the_bound_are_counted_and_left_out(lines, block_bytes, most) -> None:
    log = b"".join(one + b"\n" for one in lines)
    found = list(blocks(io.BytesIO(log), block_bytes=block_bytes, line_max_bytes=most))
    kept = b"".join(one.lines for one in found)
    assert kept == b"".join(one + b"\n" for one in lines if len(one) <= most)
    assert sum(one.too_long for one in found) == sum(len(one) > most for one in lines)


def test_a_line_without_an_end_is_not_kept_in_memory() -> None:
    class Endless:
        left = 64

        def read(self, size: int) -> bytes:
            self.left -= 1
            return b"x" * (1 << 20) if self.left >= 0 else b""

    tracemalloc.start()
    found = list(blocks(Endless()))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(one.too_long for one in found) == 1
    assert peak < 8 << 20


def test_memory_is_that_of_the_actors_and_has_an_end() -> None:
    """The flood of a million actors, small: 30,000 addresses, 5,000 of them told apart."""
    scanner = Scanner(actors=Actors(actors_max=5_000), shape="combined")
    for start in range(0, 30_000, 5_000):
        scanner.feed(
            b"".join(
                line(f"/{n}", address=f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", agent=f"bot {n}")
                for n in range(start, start + 5_000)
            )
        )
    found = scanner.result()
    assert len(scanner.actors) == 5_001
    by_name = {one.actor: one.requests for one in found.actors}
    assert by_name["ip:other"] == 25_000
    assert sum(by_name.values()) == 30_000
    assert len(found.declared_bots) <= 1_000


@pytest.mark.parametrize("field", ["target", "agent", "address", "user"])
def test_nothing_in_a_log_acts_on_a_terminal_or_a_page(field) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J</code><script>alert(1)</script>\x9b\x00é\u202e"
    evil = evil if field in {"target", "agent"} else evil.replace(" ", "").replace("[", "")
    lines = [
        line(**{"target": f"/{n}", "status": 404, field: evil + str(n % 2)}) for n in range(40)
    ]
    scanner = Scanner(by="user" if field == "user" else "ip")
    scanner.feed(b"".join([*lines, (evil + "\n").encode()]))
    found = scanner.result()
    answer, page = to_json(found), to_html(found, scanner.totals, name=evil)
    assert all(32 <= byte < 127 or byte >= 0xC2 or byte in b"\x80\xa6" for byte in answer)
    assert b"\x1b" not in answer
    assert "<script" not in page
    told = page.replace(evil.replace("<", "&lt;").replace(">", "&gt;"), "")
    assert "\x1b" not in told
    assert "\u202e" not in told


def test_features_follow_by_hand() -> None:
    behaviour = Behaviour()
    log = [
        line("/a/1"), line("/a/2", second=1, referrer="http://h/a/1"), line("/a.css", second=1),
        line("/a/3", second=61, status=404), line("/q?x", second=61, method="HEAD"),
    ]  # fmt: skip
    scan(io.BytesIO(b"".join(log)), behaviour=behaviour)
    (row,) = behaviour.features().tolist()
    named = dict(zip(FEATURES, row, strict=True))
    assert len(FEATURES) == 40
    assert (named["requests"], named["duration_s"]) == (5, 61)
    assert named["asset_share"] == named["head_share"] == pytest.approx(0.2)
    assert named["not_found_share"] == named["referrer_share"] == pytest.approx(0.2)
    assert named["referrer_chain_share"] == 1
    assert named["gap_share_0"] == 0.5  # two of four gaps are 0 s
    assert named["gap_entropy_bits"] == pytest.approx(1.5)  # 1/2, 1/4, 1/4
    assert named["sequential_share"] == 1  # 1, 2, 3
    assert named["fast_click_share"] == pytest.approx(1 / 3)  # the last of three gaps of pages
    assert named["query_share"] == pytest.approx(0.2)
    assert named["depth_mean"] == pytest.approx(7 / 4)
    assert named["unseen_share"] == 1
    assert named["night_share"] == 0


def test_pairs_beyond_the_bound_are_counted() -> None:
    behaviour = Behaviour(pairs_max=2)
    scan(io.BytesIO(b"".join(line(agent=f"a{n}") for n in range(5))), behaviour=behaviour)
    assert len(behaviour.pairs) == 2
    assert behaviour.left_out == 3


def test_an_empty_log_is_a_sentence() -> None:
    scanner = scan(io.BytesIO(b""))
    found = scanner.result()
    assert (found.lines, found.span.first) == (0, None)
    assert "None of 0 lines" in to_html(found, scanner.totals, name="empty.log")


def test_a_container_may_cut_a_line_where_a_block_ends() -> None:
    at = b"2026-01-02T03:04:05.6Z stdout "
    whole = line("/" + "x" * 60).rstrip(b"\n")
    pieces = [at + b"P " + whole[:20], at + b"P " + whole[20:50], at + b"F " + whole[50:]]
    for engine in (compiled, plain):
        scanner = Scanner(engine=engine)
        for piece in [*pieces, at + b"F " + whole]:
            scanner.feed(piece + b"\n")
        found = scanner.result()
        assert (found.lines, found.parsed) == (2, 2)


def test_the_format_is_found_where_the_log_begins_with_noise() -> None:
    scanner = Scanner()
    scanner.feed(b"", too_long=1)
    scanner.feed(b"noise\n" * 300)
    scanner.feed(line())
    assert scanner.totals.shape == "combined"
    assert (scanner.lines, scanner.parsed) == (302, 1)


def test_kinds_of_actors_are_not_confused() -> None:
    """A user or host named like another's address, and a long name, stay themselves."""
    names = ["192.0.2.7", "ip:192.0.2.7", "other", "network"]
    found = scanned([line(user=one) for one in names] + [line()], by="user")
    assert sorted(one.actor for one in found.actors) == sorted(
        [f"user:{one}" for one in names] + ["ip:192.0.2.7"]
    )
    hosts = scanned([line(address="0other"), line(address="H.EXAMPLE"), line(address="h.example")])
    assert {one.actor: one.requests for one in hosts.actors} == {"ip:0other": 1, "ip:h.example": 2}
