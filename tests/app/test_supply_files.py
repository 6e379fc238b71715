"""The public supply files of a running platform, and the settings that shape them."""

import json

import pytest

from ringwork.ads.supply import ads_txt, sellers_json
from ringwork.ads.supply.ads_txt import Record
from ringwork.ads.supply.settings import SupplySettings
from ringwork.app.compose import create
from ringwork.app.settings import HttpSettings, Settings
from ringwork.kernel.errors import ConfigurationError
from tests.app.served import Client, serve

SUPPLY = SupplySettings(
    contact_email="adops@ads.example", certification="f08c47fec0942fa0",
    records=[Record("reseller.example", "77", "RESELLER")],
)  # fmt: skip


def test_what_buyers_look_up_names_the_accounts_that_the_platform_pays(tmp_path):
    """Without a key, as crawlers come; the account and its owner are the same in both files."""

    async def scenario(client: Client) -> None:
        await client.stock()
        own = {"id": "house", "name": "Own", "domain": "ads.example"}
        assert (await client.admin.post("/v1/publishers", json=own)).status_code == 201
        for path in ("/ads.txt", "/app-ads.txt"):
            declared = await client.outside.get(path)
            assert declared.headers["content-type"] == "text/plain; charset=utf-8"
            assert declared.headers["cache-control"] == "public, max-age=3600"
            assert declared.text == (
                "OWNERDOMAIN=ads.example\nads.example, house, DIRECT, f08c47fec0942fa0\n"
                "reseller.example, 77, RESELLER\n"
            )
        of_pub = await client.outside.get("/ads.txt", params={"publisher": "pub"})
        found, wrong = ads_txt.parse(of_pub.text)
        assert (found.owner, wrong) == ("pub.example", [])
        assert found.authorises("ads.example", "pub") == "DIRECT"
        assert found.authorises("reseller.example", "77") == "RESELLER"
        answer = await client.outside.get("/sellers.json")
        assert answer.headers["content-type"] == "application/json"
        assert json.loads(answer.content)["identifiers"] == [
            {"name": "TAG-ID", "value": "f08c47fec0942fa0"}
        ]
        sellers, wrong = sellers_json.parse(answer.content)
        assert (sellers.contact_email, wrong) == ("adops@ads.example", [])
        assert [(one.seller_id, one.domain) for one in sellers.sellers] == [
            ("pub", "pub.example"), ("house", "ads.example"),
        ]  # fmt: skip
        missing = await client.outside.get("/ads.txt", params={"publisher": "nobody"})
        assert missing.status_code == 404
        assert missing.headers["content-type"] == "application/problem+json"
        too_long = await client.outside.get("/ads.txt", params={"publisher": "x" * 65})
        assert too_long.status_code == 422

    serve(tmp_path / "data", scenario, http=HttpSettings(public_url="https://ads.example"),
          supply=SUPPLY)  # fmt: skip


@pytest.mark.parametrize(
    ("http", "domain", "expected"),
    [
        ({}, "", "127.0.0.1"),
        ({"public_url": "https://Ads.Example:8443/x"}, "", "ads.example"),
        ({"public_url": "https://ads.example"}, "exchange.example", "exchange.example"),
        ({"host": "::1", "public_url": "http://[::1]:8080"}, "", "localhost"),
        ({"public_url": "https://my_host"}, "", "localhost"),
    ],
)
def test_the_platform_is_named_by_its_setting_or_by_the_host_of_its_address(
    tmp_path, http, domain, expected
):
    async def scenario(client: Client) -> None:
        await client.stock()
        text = (await client.outside.get("/ads.txt?publisher=pub")).text
        assert text == f"OWNERDOMAIN=pub.example\n{expected}, pub, DIRECT\n"

    supply = SupplySettings(domain=domain)
    serve(tmp_path / "data", scenario, http=HttpSettings(**http), supply=supply)


def test_settings_that_no_file_could_hold_stop_the_start_and_are_named(tmp_path):
    records = [Record("reseller.example", "77", "RESELLER"), Record("no domain", "1", "DIRECT")]
    settings = Settings(data=str(tmp_path / "data"), supply=SupplySettings(records=records))
    with pytest.raises(ConfigurationError, match=r"supply: .*'no domain, 1, DIRECT'"):
        create(settings)
