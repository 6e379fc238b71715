"""TC and GPP strings against the official encoders' vectors, both ways, and the edge cases."""

import json

from ringwork.consent import SignalError, gpp, tcf
from ringwork.consent.gvl import Declared


def lines(staged_data, name):
    return list(map(json.loads, (staged_data / "ads" / "consent" / name).read_text().splitlines()))


def test_every_tc_string_is_read_and_written_byte_for_byte(staged_data):
    vectors = lines(staged_data, "tcf_vectors.jsonl")
    assert len(vectors) == 250
    for vector in vectors:
        text = vector.pop("tc")
        read = tcf.decode(text)
        assert tcf.encode(read) == text
        assert tcf.plain(read).items() >= vector.items(), text


def test_every_gpp_string_is_read_and_written_byte_for_byte(staged_data):
    vectors = lines(staged_data, "gpp_vectors.jsonl")
    assert len(vectors) == 300
    for vector in vectors:
        text = vector.pop("gpp")
        read = gpp.decode(text)
        assert gpp.encode(read) == text
        assert gpp.plain(read) == vector, text


EVERY = sum(1 << (24 - purpose) for purpose in range(1, 12))
BY_CONSENT, BY_INTEREST = Declared(EVERY, 0, 0, 0), Declared(0, EVERY, 0, 0)
"""A vendor that declares every purpose, with the one basis or the other as its default."""


def test_every_edge_case_has_its_verdict_and_its_reason(staged_data):
    cases = lines(staged_data, "tcf_edge_cases.jsonl")
    assert len(cases) == 30
    for case in cases:
        now_ms, name = case["now_ms"], case["name"]
        try:
            read = tcf.decode(case["tc"])
        except SignalError as error:
            assert (False, error.reason) == (case["valid"], case["reason"]), name
            continue
        verdict = tcf.verdict(read, now_ms)
        assert verdict.valid == case["valid"], name
        if not verdict.valid:
            assert verdict.reason == case["reason"], name
            continue
        permitted = tcf.permissions(read, case["vendor"], BY_CONSENT, now_ms)
        notes = (*verdict.notes, *permitted.notes)
        assert not case["reason"] or case["reason"] in notes, (name, notes)
        assert list(permitted.by_consent) == case["consented_purposes"], name
        if "li_purposes" in case:
            permitted = tcf.permissions(read, case["vendor"], BY_INTEREST, now_ms)
            assert list(permitted.by_interest) == case["li_purposes"], name
