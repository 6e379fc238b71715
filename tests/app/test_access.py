"""Who may do what: keys, roles, hosts, the sign-in link, sessions and cross-site writes."""

from itertools import product

import pytest

from ringwork.web.keys import ROLES
from ringwork.web.sessions import COOKIE, LINK_VALID_S
from tests.app.served import serve

# One request that needs each scope. Its status past the door differs; 401 and 403 are the door's.
ASKS = {
    "catalogue:read": ("GET", "/v1/campaigns"),
    "catalogue:write": ("POST", "/v1/advertisers"),
    "ledger:read": ("GET", "/v1/ledger/trial-balance"),
    "ledger:write": ("POST", "/v1/ledger/transfers"),
    "log:read": ("GET", "/v1/log/events"),
    "keys:write": ("GET", "/v1/keys"),
    "erasure:write": ("POST", "/v1/erasures"),
    "console:read": ("GET", "/console/"),
}


def test_every_role_may_do_what_its_scopes_say_and_nothing_else(tmp_path):
    async def scenario(client):
        keys = {role: await client.key(role) for role in ROLES}
        for role, (scope, (method, path)) in product(ROLES, ASKS.items()):
            body = {} if method == "POST" else None
            answer = await client.outside.request(method, path, json=body, headers=keys[role])
            assert (answer.status_code == 403) == (scope not in ROLES[role]), (role, scope)
            assert answer.status_code != 401
            if answer.status_code == 403 and path.startswith("/v1/"):
                assert scope in answer.json()["detail"]

    serve(tmp_path / "data", scenario)


def test_without_a_key_every_management_path_is_refused_before_its_body_is_read(tmp_path):
    async def scenario(client):
        for scope, (method, path) in ASKS.items():
            if scope == "console:read":
                continue  # a page, which leads to the sign-in
            answer = await client.outside.request(method, path, content=b"{not json")
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.headers["content-type"] == "application/problem+json"
        for path in ("/healthz", "/readyz"):
            assert (await client.outside.get(path)).status_code == 200

    serve(tmp_path / "data", scenario)


@pytest.mark.parametrize(
    "header",
    ["Bearer ", "Bearer rw_", "Bearer rw_aaaa_bbbb", "Basic cnc6cnc=", "rw_x", "Bearer \xe9" * 50],
)
def test_a_wrong_key_is_401_whatever_its_form(tmp_path, header):
    async def scenario(client):
        sent = {"authorization": header.encode("latin-1")}
        answer = await client.outside.get("/v1/campaigns", headers=sent)
        assert answer.status_code == 401

    serve(tmp_path / "data", scenario)


def test_a_key_works_until_it_is_revoked_and_is_seen_once(tmp_path):
    async def scenario(client):
        made = (await client.admin.post("/v1/keys", json={"role": "viewer", "label": "v"})).json()
        headers = {"authorization": f"Bearer {made['token']}"}
        assert (await client.outside.get("/v1/campaigns", headers=headers)).status_code == 200
        secret = made["token"].rpartition("_")[2]
        assert secret not in (await client.admin.get("/v1/keys")).text
        assert secret not in (await client.admin.get("/v1/log/events?limit=1000")).text
        gone = await client.admin.delete(f"/v1/keys/{made['id']}")
        assert gone.status_code == 200
        assert (await client.outside.get("/v1/campaigns", headers=headers)).status_code == 401

    serve(tmp_path / "data", scenario)
    raw = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    assert b"rw_" not in raw, "no token is on disk"


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:8000", 401), ("127.0.0.1", 401), ("[::1]:8000", 401), ("evil.example", 403),
     ("localhost.evil.example:8000", 403), ("", 403)],
)  # fmt: skip
def test_a_name_that_is_not_this_server_is_refused(tmp_path, host, status):
    async def scenario(client):
        answer = await client.outside.get("/v1/campaigns", headers={"host": host})
        assert answer.status_code == status

    serve(tmp_path / "data", scenario)


async def link(client) -> str:
    path = (await client.admin.post("/v1/sign-in-links")).json()["path"]
    return path.partition("token=")[2]


async def signed_in(client) -> str:
    answer = await client.outside.post("/console/sign-in", data={"token": await link(client)})
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    client.outside.cookies.clear()
    return cookie.partition(";")[0].partition("=")[2]


def test_a_link_signs_in_once_and_not_when_it_is_old(tmp_path):
    async def scenario(client):
        token = await link(client)
        for _ in range(2):  # looking at the link, as mail scanners do, does not use it up
            await client.outside.get("/console/sign-in", params={"token": token})
        first, second = [
            await client.outside.post("/console/sign-in", data={"token": token}) for _ in range(2)
        ]
        assert first.status_code == 303
        assert COOKIE in first.headers["set-cookie"]
        assert "set-cookie" not in second.headers
        old = await link(client)
        client.clock.advance_us(LINK_VALID_S * 1_000_000)
        answer = await client.outside.post("/console/sign-in", data={"token": old})
        assert "set-cookie" not in answer.headers

    serve(tmp_path / "data", scenario)


def test_a_session_writes_only_from_our_own_pages_and_ends(tmp_path):
    async def scenario(client):
        cookie = {"cookie": f"{COOKIE}={await signed_in(client)}"}
        own = {**cookie, "origin": "http://localhost:8000"}
        assert (await client.outside.get("/v1/keys", headers=cookie)).status_code == 200
        for origin in ({}, {"origin": "http://evil.example"}, {"origin": "null"}):
            refused = await client.outside.post("/v1/keys", json={}, headers={**cookie, **origin})
            assert refused.status_code == 403
        made = await client.outside.post(
            "/v1/keys", json={"role": "viewer", "label": "v"}, headers=own
        )
        assert made.status_code == 201
        form = await client.outside.post("/console/sign-out", data={"csrf": "0" * 64}, headers=own)
        assert form.status_code == 403, "a form from another session"

        forged = cookie["cookie"][:-2] + ("AA" if not cookie["cookie"].endswith("AA") else "BB")
        answer = await client.outside.get("/v1/keys", headers={"cookie": forged})
        assert answer.status_code == 401
        client.clock.advance_us(366 * 86_400_000_000)
        assert (await client.outside.get("/v1/keys", headers=cookie)).status_code == 401

    serve(tmp_path / "data", scenario)
