import pytest

from ringwork.ads.traffic.agents import Hints
from ringwork.ads.traffic.networks import Networks, pack
from ringwork.ads.traffic.sender import Sender, hints_of, sender_of

PROXIES = Networks(["127.0.0.0/8", "10.0.0.0/8"])
NONE = Networks([])


def sent(peer: str, *headers: tuple[str, str], proxies: Networks = PROXIES, by_server=False):
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    return sender_of(encoded, peer, proxies=proxies, by_server=by_server)


def test_a_browser_is_its_connection_and_its_headers():
    headers = (("host", "ads"), ("user-agent", "Mozilla/5.0 x"), ("sec-ch-ua", '"Chromium";v="1"'))
    found = sent("203.0.113.7", *headers)
    assert found == Sender(pack("203.0.113.7"), "Mozilla/5.0 x", '"Chromium";v="1"')


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.0.1", "::1", ""])
def test_loopback_is_the_owner_where_no_proxy_of_ours_is_there(peer: str):
    assert sent(peer, ("user-agent", "curl/8"), proxies=NONE) is None


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7", "203.0.113.7"),  # what stands before is the client's word
        ("203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("nonsense", None),
        ("203.0.113.7, nonsense", None),
        ("", None),
        ("10.0.0.9", None),
    ],
)
def test_behind_a_proxy_the_client_is_the_last_that_is_no_proxy(forwarded: str, address):
    found = sent("127.0.0.1", ("user-agent", "x"), ("x-forwarded-for", forwarded))
    assert found is not None
    assert found.address == (None if address is None else pack(address))


def test_headers_of_one_name_are_one_list():
    found = sent(
        "10.0.0.1", ("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "203.0.113.7")
    )
    assert found is not None
    assert found.address == pack("203.0.113.7")


def test_a_stranger_cannot_choose_its_address():
    found = sent(
        "203.0.113.7", ("x-forwarded-for", "198.51.100.1"), ("x-device-ip", "198.51.100.2")
    )
    assert found is not None
    assert found.address == pack("203.0.113.7")


def test_a_private_network_tells_nothing():
    found = sent("192.168.1.5", ("user-agent", "x"))
    assert found is not None
    assert found.address is None


@pytest.mark.parametrize(
    "header",
    [
        ("sec-purpose", "prefetch;prerender"),
        ("purpose", "prefetch"),
        ("x-moz", "prefetch"),
    ],
)
def test_a_fetch_ahead_is_told(header: tuple[str, str]):
    found = sent("203.0.113.7", header)
    assert found is not None
    assert found.is_prefetch


def test_a_servers_notice_speaks_for_the_device_and_not_for_itself():
    headers = (("user-agent", "Go-http-client/2.0"), ("x-device-ip", "203.0.113.7"))
    found = sent("198.51.100.1", *headers, ("x-device-user-agent", "Mozilla/5.0 x"), by_server=True)
    assert found == Sender(pack("203.0.113.7"), "Mozilla/5.0 x", by_server=True)
    unknown = sent("198.51.100.1", ("user-agent", "Go-http-client/2.0"), by_server=True)
    assert unknown == Sender(None, "", by_server=True)


def test_a_long_chain_is_read_from_its_end_alone():
    found = sent("10.0.0.1", ("x-forwarded-for", "203.0.113.7," + "10.0.0.2," * 50 + "10.0.0.3"))
    assert found is not None
    assert found.address is None


def test_hints_are_taken_as_they_came():
    headers = [
        (b"user-agent", b"Mozilla/5.0"),
        (b"sec-ch-ua", b'"Chromium"'),
        (b"sec-ch-ua-mobile", b"?1"),
        (b"sec-ch-ua-platform", b'"Android"'),
    ]
    assert hints_of(headers) == ("Mozilla/5.0", Hints('"Chromium"', "?1", '"Android"'))
    assert hints_of([]) == ("", Hints())
