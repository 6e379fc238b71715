"""Other people's logs: what must be found in them, and who must not be (gate specification 6)."""

import json
from collections import Counter
from pathlib import Path

import pytest

from ringwork.gate.analyse import compiled, plain
from ringwork.gate.analyse.engine import parse_block
from ringwork.gate.analyse.scan import Scanner, scan
from tests.conftest import staged_folder

FOLDER = (staged_folder() or Path()) / "antiscraping"
EXPECTED = FOLDER / "crowdsec_expected.json"
CASES = json.loads(EXPECTED.read_bytes()) if EXPECTED.exists() else {}
RULES = {
    "crowdsecurity/http-probing": "probing",
    "crowdsecurity/http-crawl-non_statics": "crawl",
    "crowdsecurity/http-dos-bypass-cache": "cache-bypass-flood",
    "crowdsecurity/http-dos-random-uri": "random-uri-flood",
    "crowdsecurity/http-dos-swithcing-ua": "switching-agents",  # their spelling
    "crowdsecurity/http-wordpress_user-enum": "user-enumeration",
    "crowdsecurity/http-generic-bf": "brute-force",
    "LePresidente/http-generic-401-bf": "brute-force-401",
    "crowdsecurity/nginx-req-limit-exceeded": "request-limit-exceeded",
}
APACHE = FOLDER / "elastic_apache_logs.log"


@pytest.mark.parametrize("engine", [compiled, plain])
@pytest.mark.parametrize("name", sorted(CASES))
def test_the_offenders_of_crowdsec_are_found_with_their_events(name, engine) -> None:
    case = CASES[name]
    scanner = Scanner(engine=engine)
    scanner.feed((FOLDER / case["log"]).read_bytes().rstrip(b"\n") + b"\n")
    found = scanner.result()
    assert found.skipped == 0
    counts = {
        (one.actor, reason.rule): reason.count for one in found.actors for reason in one.reasons
    }
    for expected in case["expected"]:
        who = (f"ip:{expected['offender']}", RULES[expected["scenario"]])
        assert counts[who] == expected["events"]
    offenders = {f"ip:{expected['offender']}" for expected in case["expected"]}
    assert {one.actor for one in found.actors if one.stands_out} == offenders
    rules = {RULES[expected["scenario"]] for expected in case["expected"]}
    assert {actor for actor, rule in counts if rule in rules} == offenders


def test_all_eight_cases_are_there() -> None:
    assert len(CASES) == 8


def test_the_apache_log_is_counted_as_it_is() -> None:
    with APACHE.open("rb") as log:
        scanner = scan(log)
    found = scanner.result()
    assert (found.lines, found.parsed, found.skipped) == (10_000, 9_999, 1)
    assert scanner.totals.samples[0].startswith("46.118.127.106 - - [20/May/2015:12:05:17 +0000]")
    assert len(found.actors) == 1_753  # awk '{print $1}' | sort -u, without the broken line
    assert sum(one.requests for one in found.actors) == 9_999
    assert (found.actors[0].actor, found.actors[0].requests) == ("ip:66.249.73.135", 482)
    # awk '{print $9}' | sort | uniq -c; the broken line says 200.
    by_status = Counter({200: 9125, 206: 45, 301: 164, 304: 445, 403: 2, 404: 213, 416: 2, 500: 3})
    assert scanner.totals.statuses == by_status
    assert (found.span.first, found.span.last) == ("2015-05-17T10:05:00Z", "2015-05-20T21:05:59Z")


def test_at_most_one_in_a_hundred_quiet_addresses_is_challenged() -> None:
    with APACHE.open("rb") as log:
        found = scan(log).result()
    people = [one for one in found.actors if one.identity.declared is None]
    assert len(people) > 1_300
    assert sum(one.stands_out for one in people) <= 0.01 * len(people)


def test_both_scanners_read_every_staged_line_the_same() -> None:
    for path in [APACHE, *sorted((FOLDER / "crowdsec_tests").glob("*/*.log"))]:
        block = path.read_bytes().rstrip(b"\n") + b"\n"
        first, second = (parse_block(block, "combined", engine=one) for one in (compiled, plain))
        assert list(first.records()) == list(second.records())
        assert len(first)
