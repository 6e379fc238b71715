"""Runs of the proof that were recorded: over HTTP, by whom, through a restart, and what is refused."""

import pytest

from ringwork.consent.proof_runs import RUNS_MAX, ConsentProved, ProofRun, ProofRuns
from ringwork.kernel.events import Recorded
from tests.app.life import PROOF_RUN
from tests.app.served import Client, serve

PATH = "/v1/consent-proof-runs"


def test_a_run_is_kept_through_a_restart_the_newest_first(tmp_path):
    async def record(client: Client) -> None:
        for pairs in (1000, 2000):
            made = await client.admin.post(PATH, json={**PROOF_RUN, "pairs": pairs})
            assert made.status_code == 201, made.text
            client.clock.advance_us(1_000_000)

    async def read(client: Client) -> None:
        auditor = await client.key("auditor")
        found = (await client.outside.get(PATH, headers=auditor)).json()["runs"]
        assert [one["run"]["pairs"] for one in found] == [2000, 1000]
        assert found[0]["recorded_at_us"] == found[1]["recorded_at_us"] + 1_000_000
        assert found[1]["run"] == {**PROOF_RUN, "pairs": 1000}
        assert {one["actor"] for one in found} == {"local"}

    serve(tmp_path, record)
    serve(tmp_path, read, seed=6)


@pytest.mark.parametrize("role", ["choice", "auditor", "viewer", "service"])
def test_who_only_asks_or_reads_records_no_proof(tmp_path, role):
    async def scenario(client: Client) -> None:
        refused = await client.outside.post(PATH, json=PROOF_RUN, headers=await client.key(role))
        assert refused.status_code == 403
        assert (await client.admin.get(PATH)).json() == {"runs": []}
        taken = await client.outside.post(PATH, json=PROOF_RUN, headers=await client.key("privacy"))
        assert taken.status_code == 201

    serve(tmp_path, scenario)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"pairs": -1}, "/pairs"),
        ({"timing_p_ppm": 1_000_001}, "/timing_p_ppm"),
        ({"walls": [{"wall": "Wall 5", "holds": True, "says": ""}]}, "/walls/0/wall"),
        ({"walls": [{"wall": "pairs", "holds": True, "says": "x" * 401}]}, "/walls/0/says"),
        ({"note": "more"}, ""),
    ],
)
def test_a_run_that_is_none_is_refused_and_the_fault_named(tmp_path, change, pointer):
    async def scenario(client: Client) -> None:
        refused = await client.admin.post(PATH, json={**PROOF_RUN, **change})
        assert refused.status_code == 422, refused.text
        assert refused.json()["errors"][0]["pointer"].startswith(pointer)

    serve(tmp_path, scenario)


def test_memory_keeps_the_newest_runs():
    fold, run = ProofRuns(), ProofRun(**{**PROOF_RUN, "walls": []})
    for number in range(RUNS_MAX + 5):
        event = ConsentProved(run, "local")
        fold.apply(
            Recorded(0, number, bytes(16), number, bytes(16), None, "main", None, None, event)
        )
    assert [one.recorded_at_us for one in fold.runs] == [*range(5, RUNS_MAX + 5)]
    other = ProofRuns()
    other.load(fold.dump())
    assert other.runs == fold.runs
    other.clear()
    assert other.runs == []
