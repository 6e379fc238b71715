"""Regions: the rule on a record, and a file of the real format read through the real reader."""

import logging
import re
import sys
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.geo import COUNTRIES, region_of
from ringwork.app.geo_file import GeoFile
from ringwork.kernel.errors import ConfigurationError
from tests.ads.mmdb import write


def record(country: str, *subdivisions: str) -> dict[str, object]:
    """As city databases have it, with what is finer than we look."""
    return {
        "city": {"names": {"en": "Somewhere"}},
        "country": {"iso_code": country, "names": {"en": "A country"}},
        "location": {"accuracy_radius": 5},
        "subdivisions": [{"iso_code": one} for one in subdivisions],
    }


FILE = {
    "203.0.113.0/24": record("PT", "11"),
    "203.0.113.128/25": record("ES", "MD", "M"),
    "198.51.100.0/24": record("DE"),
    "2001:db8::/32": record("GB", "ENG"),
    "192.0.2.0/24": {"traits": {"is_anonymous_proxy": 1}},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "regions.mmdb"
    path.write_bytes(write(FILE))
    return path


@pytest.mark.parametrize(
    ("address", "region"),
    [
        ("203.0.113.7", "PRT-11"),
        ("203.0.113.200", "ESP-MD"),
        ("::ffff:203.0.113.7", "PRT-11"),
        ("198.51.100.7", "DEU"),
        ("2001:db8::7", "GBR-ENG"),
        ("192.0.2.7", None),
        ("8.8.8.8", None),
        ("2606:4700::1", None),
        ("", None),
        ("nonsense", None),
        ("203.0.113.7:80", None),
    ],
)
def test_an_address_has_the_region_of_its_network_and_nothing_finer(
    path: Path, address: str, region: str | None
):
    assert GeoFile(path)(address) == region


@given(
    st.dictionaries(
        st.builds(
            lambda host, size: str(ip_network((host >> 32 - size << 32 - size, size))),
            st.integers(0xCB007100, 0xCB0071FF),
            st.integers(20, 32),
        ),
        st.sampled_from(["PT", "ES", "DE"]),
        min_size=1,
        max_size=8,
    ),
    st.integers(0xCB007100, 0xCB0071FF),
)
def test_the_most_specific_network_counts(
    tmp_path_factory: pytest.TempPathFactory, networks: dict[str, str], host: int
):
    path = tmp_path_factory.mktemp("geo") / "regions.mmdb"
    path.write_bytes(write({network: record(code) for network, code in networks.items()}))
    address = ip_address(host)
    holding = [one for one in map(ip_network, networks) if address in one]
    best = max(holding, key=lambda one: one.prefixlen, default=None)
    expected = None if best is None else COUNTRIES[networks[str(best)]]
    assert GeoFile(path)(str(address)) == expected


def test_a_file_of_ipv4_does_not_know_ipv6(tmp_path: Path):
    path = tmp_path / "four.mmdb"
    path.write_bytes(write({"203.0.113.0/24": record("PT")}, ip_version=4))
    assert GeoFile(path)("203.0.113.7") == "PRT"
    assert GeoFile(path)("2001:db8::7") is None


def replaced(path: Path, content: bytes) -> None:
    partial = path.with_suffix(".new")
    partial.write_bytes(content)
    partial.rename(path)


def test_a_replaced_file_is_taken_anew_and_a_broken_one_is_not(
    path: Path, caplog: pytest.LogCaptureFixture
):
    locate = GeoFile(path)
    assert not locate.reload_if_changed()
    replaced(path, write({"203.0.113.0/24": record("FR", "75C")}))
    assert locate("203.0.113.7") == "PRT-11"
    assert locate.reload_if_changed()
    assert locate("203.0.113.7") == "FRA-75C"
    with caplog.at_level(logging.WARNING):
        replaced(path, b"no such thing")
        assert not locate.reload_if_changed()
        assert not locate.reload_if_changed()
        path.unlink()
        assert not locate.reload_if_changed()
    assert locate("203.0.113.7") == "FRA-75C"
    told = [one.getMessage() for one in caplog.records]
    assert len(told) == 2, told
    assert all("stay in use" in one for one in told)


def test_a_file_that_is_none_is_refused_by_name(tmp_path: Path):
    for name, content in (("absent", None), ("empty", b""), ("text", b"hello")):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ConfigurationError, match=re.escape(str(path))):
            GeoFile(path)


def test_without_its_reader_the_error_says_what_to_install(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "maxminddb", None)
    with pytest.raises(ConfigurationError, match=re.escape("pip install 'ringwork[geo]'")):
        GeoFile(path)


def test_a_record_that_breaks_off_is_no_region(tmp_path: Path):
    path = tmp_path / "broken.mmdb"
    whole = write({"203.0.113.0/24": record("PT", "11")})
    path.write_bytes(whole.replace(b"\x48iso_code", b"\x5fiso_code"))
    assert GeoFile(path)("203.0.113.7") is None


# ---- the rule ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "region"),
    [
        (record("PT", "11"), "PRT-11"),
        (record("PT"), "PRT"),
        (record("PT", "too long"), "PRT"),
        (record("PT", "é"), "PRT"),
        (record("XK"), "XKX"),
        (record("ZZ", "1"), None),
        (record("pt"), None),
        ({"country": "PT"}, None),
        ({"registered_country": {"iso_code": "PT"}}, None),  # whose network it is, not where
        ({"country": {"iso_code": "PT"}, "subdivisions": "11"}, "PRT"),
        ({"country": {"iso_code": "PT"}, "subdivisions": [11]}, "PRT"),
        (None, None),
        ([], None),
        (7, None),
    ],
)
def test_a_record_is_read_no_finer_than_a_subdivision(found: object, region: str | None):
    assert region_of(found) == region


def test_every_country_has_its_own_code():
    assert len(COUNTRIES) == 249 + 1  # ISO 3166-1 as of 2025, and Kosovo
    assert len(set(COUNTRIES.values())) == len(COUNTRIES)
    assert all(re.fullmatch("[A-Z]{2}", two) for two in COUNTRIES)
    assert all(re.fullmatch("[A-Z]{3}", three) for three in COUNTRIES.values())


@pytest.mark.parametrize(
    ("two", "three"),
    [
        *(("AT", "AUT"), ("CH", "CHE"), ("CV", "CPV"), ("DK", "DNK"), ("EE", "EST")),
        *(("GB", "GBR"), ("HR", "HRV"), ("IE", "IRL"), ("IQ", "IRQ"), ("KP", "PRK")),
        *(("KR", "KOR"), ("MO", "MAC"), ("MZ", "MOZ"), ("RS", "SRB"), ("SK", "SVK")),
        *(("SI", "SVN"), ("SE", "SWE"), ("TR", "TUR"), ("UA", "UKR"), ("US", "USA")),
    ],
)
def test_codes_that_do_not_follow_from_the_name(two: str, three: str):
    assert COUNTRIES[two] == three


@given(st.recursive(st.none() | st.integers() | st.text(max_size=4), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["country", "subdivisions", "iso_code"]), inner, max_size=3), max_leaves=8))  # fmt: skip
def test_any_record_gives_a_region_or_none(found: object):
    region = region_of(found)
    assert region is None or re.fullmatch("[A-Z]{3}(-[A-Z0-9]{1,3})?", region)
