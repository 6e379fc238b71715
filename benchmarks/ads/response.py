"""G13: what a learned row costs, and whether probabilities mean what they say, beside LightGBM.

Time: rows of the log below through the learner, 22 weights a row (bias, 15 fields, 6 crosses), and
the answer checked by the plain twin. Calibration: a week of a known world (``response_log``), split
in time. Our model reads the first days once, in order, as it would live; LightGBM is trained on
most of the same days in as many rounds as do it best on the rest, on which it is then calibrated,
by Platt and by isotonic regression, per tier. Its features are the same fields as rates of the past
(each row sees only what was before it, as a good practitioner would do; far stronger here than its
own categorical splits), with device, hour and shape as they are. Both are then frozen and judged on
the days that follow. ``as served`` is our model going on to learn, published every hour.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import numpy as np

from benchmarks.ads.response_log import DAYS, Log, made
from ringwork.ads.rank import calibrate, plain
from ringwork.ads.rank.engine import Engine, warm
from ringwork.ads.rank.features import CROSS_COUNT, FEATURES
from ringwork.ads.rank.reliability import ECE_BINS, Reliability, reliability
from ringwork.ads.rank.response import HEADS, ResponseModel
from ringwork.ads.rank.snapshot import TIERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Features = NDArray[np.float32]

Goal = dict[str, object]
SEED: Final = 13
ROWS: Final = 200_000
SPLIT_DAY: Final = 5.0
FIT_DAY: Final = 4.0
"""LightGBM's own split of what comes before: trained up to here, calibrated on the rest."""
PARAMETERS: Final = np.array([0.1, 1.0, 0.5, 1.0, -5.0, 1.5])
"""The specification's rates, a prior of 0.7 %, the clip."""
SMOOTHING_ROWS: Final = 50.0
LIGHTGBM: Final[dict[str, object]] = {
    "objective": "binary", "learning_rate": 0.1, "num_leaves": 31, "min_data_in_leaf": 1000,
    "num_threads": 1, "deterministic": True, "seed": SEED, "verbose": -1,
}  # fmt: skip


def run(quick: bool) -> list[Goal]:
    """Measure, print, return the goals."""
    log = made(900_000 if quick else 7_000_000, seed=SEED)
    return [*_speed(log), *_calibration(log)]


def _speed(log: Log) -> list[Goal]:
    """Microseconds of CPU per row, the best of twelve passes over a table that begins empty."""
    engine = warm()
    contexts, ads = log.keys(slice(0, ROWS))
    labels, ones, logits = log.clicked[:ROWS], np.ones(ROWS), np.empty(ROWS)
    table = np.empty((2**20, 4))
    learns, predicts = [], []
    for _ in range(12):
        table[:] = 0.0
        started = time.process_time()
        engine.learn(table, contexts, ads, CROSS_COUNT, labels, ones, PARAMETERS, logits)
        learns.append((time.process_time() - started) / ROWS * 1e6)
        weights = table[:, 2].astype(np.float32)
        started = time.process_time()
        engine.predict(contexts, ads, CROSS_COUNT, -5.0, 1.5, weights, logits)
        predicts.append((time.process_time() - started) / ROWS * 1e6)
    plain_us = _twin_agrees(engine, log)
    learn_us, predict_us = min(learns), min(predicts)
    print(f"{FEATURES} weights: learn {learn_us:.2f} us, predict {predict_us:.2f} us, "
          f"without numba {plain_us:.0f} us a row")  # fmt: skip
    return [
        {
            "goal": f"FTRL, one row of {FEATURES} weights, 200k rows",
            "measured": round(learn_us, 3),
            "target": 0.5,
            "unit": "us/learn",
            "ok": learn_us <= 0.5,
            "peer": "plain Python twin, same bits",
            "ratio": round(plain_us / learn_us, 1),
        },
        {
            "goal": "prediction of one pair",
            "measured": round(predict_us, 3),
            "target": 0.3,
            "unit": "us/predict",
            "ok": predict_us <= 0.3,
        },
    ]


def _twin_agrees(engine: Engine, log: Log) -> float:
    """Microseconds per row of the plain twin; raises when it learns other weights."""
    rows = 2_000
    contexts, ads = log.keys(slice(0, rows))
    tables = np.zeros((2**16, 4)), np.zeros((2**16, 4))
    logits = np.empty(rows)
    given = (contexts, ads, CROSS_COUNT, log.clicked[:rows], np.ones(rows), PARAMETERS, logits)
    engine.learn(tables[0], *given)
    started = time.process_time()
    plain.learn(tables[1], *given)
    elapsed = time.process_time() - started
    if not np.array_equal(*tables):
        raise AssertionError("the compiled learner and its twin learned different weights")
    return elapsed / rows * 1e6


def _calibration(log: Log) -> list[Goal]:
    split = int(np.searchsorted(log.day, SPLIT_DAY))
    frozen, served = _ours(log, split)
    peers = _lightgbm(log, split)
    goals: list[Goal] = []
    for tier in (0, 1):
        of = log.tier[split:] == tier
        labels = log.clicked[split:][of]
        ours, live = reliability(frozen[of], labels), reliability(served[of], labels)
        by = {name: reliability(p[of], labels) for name, p in peers.items()}
        chances = log.chance[split:][of]
        truth = reliability(chances, labels)
        _show(TIERS[tier], {"ours": ours, "as served": live, **by, "the truth": truth})
        goals += _goals(TIERS[tier], ours, live, by)
        goals.append(_known(TIERS[tier], frozen[of], {n: p[of] for n, p in peers.items()}, chances))
    cold = (log.age_days < 1.0)[split:]
    _show("ads of the last day", {
        "ours": reliability(frozen[cold], log.clicked[split:][cold]),
        "as served": reliability(served[cold], log.clicked[split:][cold]),
        **{name: reliability(p[cold], log.clicked[split:][cold]) for name, p in peers.items()},
    })  # fmt: skip
    return goals


def _goals(
    tier: str, ours: Reliability, live: Reliability, peers: dict[str, Reliability]
) -> list[Goal]:
    goals: list[Goal] = []
    for figure, unit in (("log_loss", "nats"), ("ece", "")):
        name, best = min(
            ((name, float(getattr(peer, figure))) for name, peer in peers.items()),
            key=lambda each: each[1],
        )
        own = float(getattr(ours, figure))
        goals.append({
            "goal": f"G13 {figure.replace('_', ' ')}, {tier}, {ours.responses:,} clicks",
            "measured": round(own, 6),
            "target": round(best, 6),
            "unit": unit,
            "ok": own <= best,
            "peer": name,
            "ratio": round(own / best, 4),
        })  # fmt: skip
    for name, judged in (("frozen", ours), ("as served", live)):
        goals.append({
            "goal": f"G13 predicted / real clicks, {tier}, {name}",
            "measured": round(judged.ratio, 4),
            "target": "0.98 to 1.02",
            "unit": "",
            "ok": 0.98 <= judged.ratio <= 1.02,
        })  # fmt: skip
    return goals


def _known(tier: str, ours: Floats, peers: dict[str, Floats], chances: Floats) -> Goal:
    """The calibration error without the luck of the clicks, which alone gives the truth 4e-4."""
    name, best = min(
        ((name, _error(p, chances)) for name, p in peers.items()), key=lambda each: each[1]
    )
    own = _error(ours, chances)
    return {
        "goal": f"calibration error against the known chances, {tier}",
        "measured": round(own, 6),
        "target": round(best, 6),
        "unit": "",
        "ok": own <= best,
        "peer": name,
        "ratio": round(own / best, 4),
    }


def _error(p: Floats, chances: Floats) -> float:
    """As ``reliability``'s ECE, with what was to be expected in place of what came."""
    bins = np.array_split(np.argsort(p, kind="stable"), ECE_BINS)
    gaps = [len(rows) * abs(p[rows].mean() - chances[rows].mean()) for rows in bins]
    return float(sum(gaps) / len(p))


def _ours(log: Log, split: int) -> tuple[Floats, Floats]:
    """Probabilities of the rows after ``split``: of the version of then, and of a live model."""
    started = time.process_time()
    model = ResponseModel(HEADS[:1])
    served = np.empty(len(log.day) - split)
    frozen = served
    head = model.publish().head("click")
    hours = np.searchsorted(log.day, np.arange(DAYS * 24 + 1) / 24.0)
    hours[-1] = len(log.day)
    for start, end in zip(hours[:-1].tolist(), hours[1:].tolist(), strict=True):
        rows = slice(start, end)
        if start == split:
            later = log.keys(slice(split, None))
            frozen = head.p_ppb_many(head.pair_logits(*later), log.tier[split:]) / 1e9
        contexts, ads = log.keys(rows)
        if start >= split:
            logits = head.pair_logits(contexts, ads)
            served[start - split : end - split] = head.p_ppb_many(logits, log.tier[rows]) / 1e9
        model.learn_many("click", contexts, ads, log.clicked[rows], tiers=log.tier[rows])
        head = model.publish().head("click")
    print(f"ours: {len(log.day):,} rows learned, judged and published {DAYS * 24} times in "
          f"{time.process_time() - started:.0f} s of CPU")  # fmt: skip
    return frozen, served


def _lightgbm(log: Log, split: int) -> dict[str, Floats]:
    """Probabilities of the rows after ``split``, calibrated in two ways."""
    import lightgbm

    started = time.process_time()
    fit = int(np.searchsorted(log.day, FIT_DAY))
    features = _rates(log, fit, split)
    train = lightgbm.Dataset(features[:fit], label=log.clicked[:fit], free_raw_data=False)
    check = lightgbm.Dataset(features[fit:split], label=log.clicked[fit:split], reference=train)
    model = lightgbm.train(
        LIGHTGBM,
        train,
        num_boost_round=300,
        valid_sets=[check],
        callbacks=[lightgbm.early_stopping(15, verbose=False)],
    )
    logits = np.asarray(model.predict(features[fit:], raw_score=True, num_threads=1))
    of_check, of_rest = logits[: split - fit], logits[split - fit :]
    answers: dict[str, Floats] = {}
    for name, method in (("LightGBM, Platt", "platt"), ("LightGBM, isotonic", "isotonic")):
        p = np.empty(len(of_rest))
        for tier in (0, 1):
            checked, rest = log.tier[fit:split] == tier, log.tier[split:] == tier
            counted = calibrate.evidence(of_check[checked], log.clicked[fit:split][checked])
            curve = calibrate.curve(*counted, "platt" if method == "platt" else "isotonic")
            p[rest] = calibrate.apply(calibrate.table(curve), of_rest[rest]) / 1e9
        answers[name] = p
    print(f"LightGBM: {fit:,} rows, {model.best_iteration} trees, "
          f"{time.process_time() - started:.0f} s of CPU")  # fmt: skip
    return answers


def _rates(log: Log, fit: int, split: int) -> Features:
    """Every field as its smoothed click rate so far, and what is small enough to split as it is."""
    base = float(log.clicked[:fit].mean())
    columns: list[NDArray[np.generic]] = []
    for codes in (*log.context.T, *log.ad.T):
        before, after = codes[:split], codes[split:]
        order = np.argsort(before, kind="stable")
        first = np.flatnonzero(np.diff(before[order], prepend=-1))
        lengths = np.diff(first, append=split)
        clicks = np.cumsum(log.clicked[:split][order]) - log.clicked[:split][order]
        past = np.empty((2, split))
        past[0, order] = clicks - np.repeat(clicks[first], lengths)
        past[1, order] = np.arange(split) - np.repeat(first, lengths)
        size = int(codes.max()) + 1
        totals = np.stack([np.bincount(before, log.clicked[:split], size),
                           np.bincount(before, minlength=size)])[:, after]  # fmt: skip
        clicks_seen, rows_seen = np.concatenate([past, totals], axis=1)
        rate = (clicks_seen + SMOOTHING_ROWS * base) / (rows_seen + SMOOTHING_ROWS)
        columns.append(rate.astype(np.float32))
    columns += [log.context[:, 5], log.context[:, 6], log.ad[:, 4], log.tier]
    return np.stack(columns, axis=1).astype(np.float32)


def _show(title: str, judged: dict[str, Reliability]) -> None:
    print(f"{title}: {next(iter(judged.values())).rows:,} rows")
    for name, one in judged.items():
        print(
            f"  {name:20} AUC {one.auc:.4f}  log loss {one.log_loss:.6f}  "
            f"normalised entropy {one.normalised_entropy:.4f}  "
            f"predicted/real {one.ratio:.4f}  ECE {one.ece * 1e4:.2f}e-4"
        )
