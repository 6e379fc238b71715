"""sellers.json: ours from the registered publishers, others' as far as they can be read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.model import Publisher
from ringwork.ads.supply.sellers_json import (
    Identifier,
    Seller,
    SellersJson,
    of_publishers,
    parse,
    write,
)

# Written by hand after the example of sellers.json 1.0, with entries that are wrong among them.
FILE = b"""{
  "contact_email": "adops@exchange.example", "contact_address": "1 Street", "version": "1.0",
  "identifiers": [{"name": "TAG-ID", "value": "28cb65e5bbc0bd5f"}],
  "sellers": [
    {"seller_id": "1942009976", "name": "Publisher 1", "domain": "pub1.example", "seller_type": "PUBLISHER"},
    {"seller_id": 1942009977, "name": "Network", "domain": "Net.example", "seller_type": "both", "is_passthrough": 1},
    {"seller_id": "1942009978", "is_confidential": 1, "seller_type": "INTERMEDIARY"},
    {"seller_id": "1942009976", "name": "Twice", "domain": "t.example", "seller_type": "PUBLISHER"},
    {"name": "No id", "domain": "n.example", "seller_type": "PUBLISHER"},
    {"seller_id": "3", "name": "No type", "domain": "n.example"},
    {"seller_id": "4", "name": "No domain", "seller_type": "PUBLISHER"},
    {"seller_id": ["5"], "seller_type": "PUBLISHER"}
  ]
}"""


def test_a_file_by_hand() -> None:
    found, wrong = parse(FILE)
    assert found == SellersJson(
        version="1.0",
        contact_email="adops@exchange.example",
        contact_address="1 Street",
        identifiers=(Identifier("TAG-ID", "28cb65e5bbc0bd5f"),),
        sellers=(
            Seller(
                seller_id="1942009976", seller_type="PUBLISHER", name="Publisher 1",
                domain="pub1.example",
            ),
            Seller(
                seller_id="1942009977", seller_type="BOTH", name="Network", domain="net.example",
                is_passthrough=1,
            ),
            Seller(seller_id="1942009978", seller_type="INTERMEDIARY", is_confidential=1),
        ),
    )  # fmt: skip
    assert [one.partition(":")[0] for one in wrong] == [f"sellers[{n}]" for n in range(3, 8)]


def test_ours_has_an_entry_per_publisher() -> None:
    publishers = [Publisher(id="pub", name="News", domain="news.example")]
    body = write(of_publishers(publishers, contact_email="a@ads.example"))
    assert json.loads(body) == {
        "version": "1.0",
        "contact_email": "a@ads.example",
        "sellers": [
            {
                "seller_id": "pub", "seller_type": "PUBLISHER", "name": "News",
                "domain": "news.example",
            }
        ],
    }  # fmt: skip
    assert parse(body)[1] == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"sellers":1}', b"\xff", b"[" * 5000])
def test_what_is_no_sellers_json_is_refused(body) -> None:
    with pytest.raises(ValueError, match=r"expected a sellers\.json"):
        parse(body)


TEXTS = st.text(min_size=1, max_size=6)


@given(st.lists(st.tuples(TEXTS, TEXTS), unique_by=lambda one: one[0], max_size=5))
def test_what_is_written_is_read_back(named) -> None:
    publishers = [Publisher(id=id, name=name, domain="p.example") for id, name in named]
    file = of_publishers(publishers)
    assert parse(write(file)) == (file, [])
