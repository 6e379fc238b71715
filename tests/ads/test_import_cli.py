"""``ringwork ads import``: a file of lines or a spreadsheet, sent again without harm."""

import io

import msgspec
import pytest

from ringwork.ads.import_csv import lines_of
from ringwork.app.call import call
from ringwork.app.settings import Settings
from ringwork.cli import ads_import
from tests.ads.office import ADVERTISER, CAMPAIGN, CREATIVE, PUBLISHER
from tests.cli.conftest import data, ringwork  # noqa: F401  # fixtures

FUNDS = {
    "id": "in", "kind": "single", "debit_account": "cash", "credit_account": "advertiser/hp",
    "amount": {"currency": "EUR", "units": 500, "nanos": 0},
}  # fmt: skip
SHEET = """\
type,id,advertiser_id,campaign_id,name,special_ad_categories,pricing,bid_nanos,budget,targeting.regions,targeting.hours,\
targeting.key_values.section,targeting.excluded.categories,view_through,frequency_caps,format,\
width,height,landing_url,html
campaign,sheet,hp,,"Autumn, all shops",[],cpa,20000000000,12.50 EUR,PRT|ESP-MD,7|8,home | sport,1,\
TRUE,"[{""impressions"": 3, ""window_s"": 86400}]",,,,,
creative,first,,sheet,First,,,,,,,,,,,banner,300,250,https://hp.example/1,<b>one</b>
creative,broad,,sheet,Broad,,,,,,,,,,,banner,wide,250,https://hp.example/2,<b>two</b>
"""


@pytest.fixture
def store(ringwork, data, tmp_path):  # noqa: F811
    """An advertiser with 500 EUR."""
    settings = Settings(data=str(data))
    for path, body in (
        ("/v1/advertisers", ADVERTISER),
        ("/v1/ledger/accounts", {"id": "cash", "currency": "EUR"}),
        ("/v1/ledger/transfers", FUNDS),
    ):
        answer = call(settings, "POST", path, body, headers={"idempotency-key": path})
        assert answer.status in (200, 201), answer.body

    def write(name, *lines):
        (tmp_path / name).write_bytes(b"\n".join(msgspec.json.encode(one) for one in lines))
        return name

    return ringwork, write, tmp_path


LINES = (
    {"type": "publisher", **PUBLISHER},
    {"type": "campaign", **CAMPAIGN},
    {"type": "creative", **CREATIVE},
    {"type": "creative", **CREATIVE, "id": "lost", "campaign_id": "none"},
)


def test_a_file_is_imported_and_sent_again_it_exists(store):
    ringwork, write, _ = store  # noqa: F811
    file = write("market.ndjson", *LINES)
    done = ringwork("ads", "import", file)
    assert done.code == 1  # a line was refused
    assert done.out.splitlines() == [
        "line 4 lost: /campaign_id: expected a campaign; found 'none': none such",
        "market.ndjson: 3 created, 0 exists, 1 refused",
    ]
    again = ringwork("ads", "import", write("market.ndjson", *LINES[:3]), "--json")
    assert again.code == 0
    assert again.lines == [
        {"line": number, "status": "exists", "id": one["id"]}
        for number, one in enumerate(LINES[:3], 1)
    ]


def test_a_long_file_goes_in_parts_and_lines_keep_their_numbers(store, monkeypatch):
    ringwork, write, _ = store  # noqa: F811
    monkeypatch.setattr(ads_import, "REQUEST_LINES", 2)
    many = [LINES[1], *({**LINES[2], "id": f"c{number}"} for number in range(6)), LINES[3]]
    done = ringwork("ads", "import", write("many", *many), "--json")
    assert [one["line"] for one in done.lines] == list(range(1, 9))
    assert [one["status"] for one in done.lines] == ["created"] * 7 + ["refused"]


def test_stdin_is_read_as_a_file(store, monkeypatch):
    ringwork, _, _ = store  # noqa: F811
    text = b"\n".join(msgspec.json.encode(one) for one in LINES[:2])
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert ringwork("ads", "import", "-").out == "-: 2 created, 0 exists, 0 refused\n"


def test_a_spreadsheet_says_its_members_in_its_first_row(store):
    ringwork, _, folder = store  # noqa: F811
    (folder / "shop.csv").write_text("\ufeff" + SHEET, encoding="utf-8")
    done = ringwork("ads", "import", "shop.csv")
    assert done.out.splitlines() == [
        "line 4 broad: /width: Expected `int`, got `str`",
        "shop.csv: 2 created, 0 exists, 1 refused",
    ]
    made = ringwork("ads", "campaigns", "sheet", "--json").lines[0]
    assert made["name"] == "Autumn, all shops"
    assert made["budget"] == {"currency": "EUR", "units": 12, "nanos": 500_000_000}
    assert made["view_through"] is True
    assert made["frequency_caps"] == [{"impressions": 3, "window_s": 86_400, "per": "campaign"}]
    targeting = made["targeting"]
    assert (targeting["regions"], targeting["hours"]) == (["PRT", "ESP-MD"], [7, 8])
    assert targeting["key_values"] == {"section": ["home", "sport"]}
    assert targeting["excluded"]["categories"] == ["1"]


@pytest.mark.parametrize(
    ("row", "members"),
    [
        ({"type": "campaign", "budget": "12 EUR", "bid_nanos": ""},
         {"budget": {"currency": "EUR", "units": 12, "nanos": 0}}),
        ({"type": "campaign", "budget": "-0.000000001EUR"},
         {"budget": {"currency": "EUR", "units": 0, "nanos": -1}}),
        ({"type": "campaign", "budget": "twelve", "bid_nanos": "1.5", "roadblock": "perhaps"},
         {"budget": "twelve", "bid_nanos": "1.5", "roadblock": "perhaps"}),
        ({"type": "campaign", "targeting": '{"hours": [7]}', "targeting.regions": "PRT"},
         {"targeting": {"hours": [7], "regions": ["PRT"]}}),
        ({"type": "campaign", "targeting": "{broken", "targeting.regions": "PRT"},
         {"targeting": "{broken"}),
        ({"type": "creative", "width": "300", "title": "300"}, {"width": 300, "title": "300"}),
        ({"type": "lorry", "wheels": "4", "a.b": "c"}, {"wheels": "4", "a": {"b": "c"}}),
        ({"type": "campaign", "?": ["too", "many"]}, {"?": "too, many"}),
    ],
)  # fmt: skip
def test_cells_are_read_as_their_members_or_left_for_the_server_to_refuse(row, members):
    made = msgspec.json.decode(next(lines_of([row])))
    assert made == {"type": row["type"], **members}


def test_files_that_are_none_are_told(store):
    ringwork, _, folder = store  # noqa: F811
    assert ringwork("ads", "import", "none.ndjson").code == 2
    (folder / "untyped.csv").write_text("id,name\na,b\n")
    done = ringwork("ads", "import", "untyped.csv")
    assert (done.code, done.out) == (2, "")
    assert "no member 'type'" in done.err
    (folder / "latin.csv").write_bytes(b"type,id\ncampaign,caf\xe9\n")
    assert "not UTF-8" in ringwork("ads", "import", "latin.csv").err
    (folder / "empty.ndjson").write_bytes(b"")
    assert ringwork("ads", "import", "empty.ndjson").out.endswith("0 refused\n")
