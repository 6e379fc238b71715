"""Which loops run: compiled ones where numba is, plain ones where it is not, never at import."""

import subprocess
import sys

import numpy as np
import pytest

from ringwork.ads.rank import compiled, plain
from ringwork.ads.rank.engine import warm
from ringwork.ads.rank.response import HEADS, ResponseModel
from tests.ads.rank import keyed


@pytest.fixture
def without_numba(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "ringwork.ads.rank.compiled")
    monkeypatch.delattr("ringwork.ads.rank.compiled")
    warm.cache_clear()
    yield
    warm.cache_clear()


def versions() -> list[bytes]:
    rng = np.random.default_rng(1)
    contexts, ads = keyed.random_rows(rng, 600, 3)
    labels = (rng.random(600) < 0.3).astype(float)
    model = ResponseModel(HEADS[:1], bits=12)
    digests = []
    for start in range(0, 600, 150):
        part = slice(start, start + 150)
        tiers = np.zeros(150, np.int64)
        model.learn_many("click", contexts[part], ads[part], labels[part], tiers=tiers)
        digests.append(model.publish().digest())
    return digests


def test_where_numba_is_the_loops_are_compiled():
    assert warm() is compiled


def test_a_log_learned_compiled_is_replayed_without_numba_bit_for_bit(request):
    expected = versions()
    request.getfixturevalue("without_numba")
    assert warm() is plain
    assert versions() == expected


def test_importing_the_model_does_not_import_numba():
    code = "import sys, ringwork.ads.rank.response; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
