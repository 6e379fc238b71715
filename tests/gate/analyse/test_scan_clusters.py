"""A botnet's accounts in a log: ``gate scan --actor user`` names them, with the evidence."""

import io
import json

import numpy as np
import pytest

from ringwork.cli.main import run
from ringwork.gate.analyse.collusion import Collusion
from ringwork.gate.analyse.scan import scan
from tests.gate.collude.city import BOTS_FROM, POOL, day


def dotted(number: int) -> str:
    """An address for an object of the city: its /24 stays its /24."""
    kind, rest = number >> 32, number & 0xFFFFFFFF
    whole = (kind * 7 << 24) + rest if number < POOL else (60 << 24) + rest
    return ".".join(str(whole >> shift & 255) for shift in (24, 16, 8, 0))


def log_of(city) -> bytes:
    lines = []
    order = np.argsort(city.actions.ts_us, kind="stable")
    for who, at_us, what in zip(
        city.actions.actors[order].tolist(), city.actions.ts_us[order].tolist(),
        city.actions.objects[order].tolist(), strict=True,
    ):  # fmt: skip
        hour, rest = divmod(at_us // 1_000_000, 3600)
        lines.append(
            f"{dotted(what)} - u{who} [02/Mar/2026:{hour:02}:{rest // 60:02}:{rest % 60:02} +0000] "
            f'"GET /p/{who % 97} HTTP/1.1" 200 512 "-" "Mozilla/5.0"\n'
        )
    return "".join(lines).encode()


@pytest.fixture(scope="module")
def log() -> bytes:
    return log_of(day(
        people=1_500, bots=120, addresses=800, addresses_of_bot=30, actions_of_bot=60, seed=2
    ))  # fmt: skip


def test_the_accounts_of_a_botnet_are_one_cluster_with_evidence(log, tmp_path, capsys) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(log)
    assert run(["gate", "scan", str(path), "--actor", "user", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    (cluster,) = answer["clusters"]
    bots = {f"user:u{BOTS_FROM + one}" for one in range(120)}
    assert set(cluster["members"]) <= bots
    assert len(cluster["members"]) >= 114
    assert cluster["evidence"][0].startswith(f"{len(cluster['members'])} actors share ")
    assert "members, " in cluster["evidence"][2]
    assert cluster["evidence"][2].startswith("ip:60.")
    named = {one["actor"]: one for one in answer["actors"]}
    member = named[cluster["members"][0]]
    assert member["verdict"] == "degrade"
    assert [one["rule"] for one in member["reasons"]] == ["cluster"]
    assert not any(
        one["reasons"]
        for name, one in named.items()
        if name.startswith("user:") and name not in bots
    )


def test_text_and_page_show_the_cluster(log, tmp_path, capsys) -> None:
    path, page = tmp_path / "a.log", tmp_path / "a.html"
    path.write_bytes(log)
    assert run(["gate", "scan", str(path), "--actor", "user", "--html", str(page)]) == 1
    assert "  cluster-1: 1" in capsys.readouterr().out
    assert "Accounts that act as one" in page.read_text()
    assert "actors share" in page.read_text()
    assert run(["gate", "scan", str(path), "--html", str(page)]) in {0, 1}
    assert "Accounts that act as one" not in page.read_text()


def test_by_address_nothing_is_clustered(log) -> None:
    assert scan(io.BytesIO(log)).result().clusters == ()


def test_what_is_known_stays_when_there_is_no_more_room() -> None:
    found = Collusion(keys_max=3)
    found.take(np.array([1, 1, 2]), np.array([5, 5, 6]), np.array([0, 1, 0]))
    assert found.clusters(["", *["user:a"] * 4, "ip:192.0.2.1", "ip:2001:db8::1"]) == []
    found.take(np.array([0, 0, 3]), np.array([5, 6, 5]), np.array([0, 0, 0]))
    assert found.clusters(["user:z", *["user:a"] * 4, "ip:192.0.2.1", "ip:host.example"]) == []
    assert found.left_out == 2
