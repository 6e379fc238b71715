"""TC and GPP strings against the official encoders' vectors, both ways."""

import json

from ringwork.consent import gpp, tcf


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
