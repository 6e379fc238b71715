"""Whole audit logs for tests and benchmarks, made by the real writer through its public interface."""

from __future__ import annotations

import io
import random
from functools import cache
from typing import BinaryIO

import msgspec
import numpy as np

from ringwork.fairness.flights import model_of
from ringwork.fairness.log import LogWriter, Signer
from ringwork.fairness.measure.confusion import moments_blur
from ringwork.fairness.records import (
    Ad,
    Budget,
    Control,
    CountedIn,
    Eligible,
    Genesis,
    Model,
    Override,
    Plan,
    Prior,
    Reach,
    Release,
    Tables,
)
from ringwork.fairness.trail import Trail
from tests.fairness.calibrated_world import noisy_moments

SEED = bytes(range(32))
OTHER_SEED = bytes(range(1, 33))
START_US = 1_700_000_000_000_000
RACE = ("white", "black", "hispanic", "other")
RACE_MIX = (620_000_000, 140_000_000, 170_000_000, 70_000_000)


def begun(
    file: BinaryIO, *, period: str = "2026-1", seed: bytes = SEED, with_model: bool = True
) -> Trail:
    """A log with its genesis, tables, plan, and what race is corrected with."""
    signer = Signer(seed)
    trail = Trail(LogWriter(file, signer))
    genesis = Genesis(public_key=signer.public, log="test", software_version="0.0", entropy="test")
    trail.record(genesis, time_us=START_US)
    tables = Tables(name="demo", sha256="ab" * 32, rows=2000, demo_tables=True)
    trail.record(tables, time_us=START_US + 1)
    trail.record(plan(period), time_us=START_US + 2)
    if with_model:
        trail.record(model(), time_us=START_US + 3)
        trail.record(default_prior(period), time_us=START_US + 4)
    return trail


def plan(period: str = "2026-1") -> Plan:
    return Plan(
        name="us-v-meta",
        attributes={"sex": ("female", "male"), "race": RACE},
        estimated=("race",),
        inclusive=True,
        thresholds_ppm=(100_000, 50_000),
        minimum_impressions=(300, 1000),
        period=period,
        epsilon_micro=4_000_000,
        delta="1e-6",
        T=64,
        cap=1,
        kappa_ppm=(0, 50_000, 100_000, 150_000),
    )


@cache
def model() -> Model:
    """How a calibrated proxy blurs: learned on an invented pool, as specification 4.6 has it."""
    rng = np.random.default_rng(5)
    moments = noisy_moments(rng.dirichlet(np.array(RACE_MIX) / 1e9 * 1.6, 40_000), "17", rng)
    return model_of("race", moments_blur(moments), moments)


def default_prior(period: str = "2026-1") -> Prior:
    """Deviations of about five points, before any ad has been seen."""
    spread, groups = 2_500_000, len(RACE)
    rows = [
        tuple(spread - spread // groups if i == j else -spread // groups for j in range(groups))
        for i in range(groups)
    ]
    return Prior(period=period, attribute="race", T_ppb=tuple(rows), ads=0)


def ad(name: str, segment: int = 0, female_ppb: int = 510_000_000, by_people: bool = True) -> Ad:
    def shares(*ppb: int) -> Eligible:
        return Eligible(shares_ppb=ppb, people_shares_ppb=ppb if by_people else ())

    return Ad(
        ad=name,
        category="HOUSING",
        advertiser=f"advertiser of {name}",
        segment=segment,
        eligible={
            "sex": shares(female_ppb, 1_000_000_000 - female_ppb),
            "race": shares(*RACE_MIX),
        },
    )


def budget(name: str) -> Budget:
    return Budget(ad=name, sigma="4.0", events=64, epsilon_micro=3_650_000, delta="1e-6")


def release(name: str, episode: int, impressions: int, rng: random.Random) -> Release:
    """Noisy sums of a skewed delivery: the skew and the noise differ from ad to ad."""
    skew = rng.uniform(-0.15, 0.15)
    female = round(impressions * (0.5 + skew))
    known = [female, impressions - female - impressions // 50, impressions // 50]
    white = round(impressions * (0.62 - skew))
    race = [white, round(impressions * 0.14), round(impressions * 0.17)]
    race.append(impressions - sum(race))
    noise = lambda scale: round(rng.gauss(0, scale))  # noqa: E731
    return Release(
        ad=name,
        episode=episode,
        final=episode == 3,
        impressions=impressions,
        people=round(impressions * 0.8) + noise(6),
        spend_nanos=impressions * 2_000_000,
        sums={
            "sex": tuple(one + noise(6) for one in known),
            "race": tuple(256 * one + noise(6 * 256) for one in race),
        },
        people_sums={"sex": tuple(one * 4 // 5 + noise(6) for one in known)},
        unit={"sex": 1, "race": 256},
    )


def made(
    ads: int = 12,
    *,
    episodes: int = 2,
    seed: int = 1,
    periods: int = 1,
    with_report: bool = True,
    key_seed: bytes = SEED,
) -> bytes:
    """A complete log: ads with segments, releases, figures, controls, an override, reports."""
    file = io.BytesIO()
    trail, rng, now = begun(file, seed=key_seed), random.Random(seed), START_US + 100
    sizes = {f"ad-{number}": rng.choice([150, 300, 700, 1000, 5000]) for number in range(ads)}
    for name in sizes:
        trail.record(ad(name), time_us=now)
        trail.record(budget(name), time_us=now)
    for period in range(periods):
        if period:
            trail.record(plan(f"2026-{period + 1}"), time_us=now)
        for step in range(1, episodes + 1):
            for number, (name, size) in enumerate(sizes.items()):
                now += 1
                if step == 2 and number % 5 == 0 and not period:
                    trail.record(ad(name, segment=1, female_ppb=450_000_000), time_us=now)
                episode = period * episodes + step
                trail.record(release(name, episode, size * episode, rng), time_us=now)
                trail.figures(name, time_us=now)
                shift = Control(ad=name, episode=episode, lambda_micro=(1200, -1200, 0, 3, 4, -7))
                trail.record(shift, time_us=now)
            trail.writer.checkpoint(time_us=now)
        trail.learn_priors(time_us=now)
        if not period:
            paused = Override(
                ad="ad-0", action="pause", who="m.ortega", reason="complaint 17 is looked into"
            )
            trail.record(paused, time_us=now)
        if with_report:
            trail.report(time_us=now, reach=reach("ad-0"))
            trail.writer.checkpoint(time_us=now)
    return file.getvalue()


def reach(name: str) -> list[Reach]:
    """A quarter of what changed came from reaching fewer women (by hand: L = 1, G = 3)."""
    return [
        Reach(
            ad=name,
            attribute="sex",
            group="female",
            eligible_ppb=500_000_000,
            reach_ppb=39_000_000,
            without_control_ppb=40_000_000,
        ),
        Reach(
            ad=name,
            attribute="sex",
            group="male",
            eligible_ppb=500_000_000,
            reach_ppb=33_000_000,
            without_control_ppb=30_000_000,
        ),
    ]


def arm_plan(period: str = "2026-1") -> Plan:
    """As ``plan``, with both attributes under control."""
    return msgspec.structs.replace(plan(period), controlled=("sex", "race"))


def arm_ad(name: str, *, counted_in: CountedIn = "person-days", arm_ppm: int = 100_000) -> Ad:
    """200,000 people are eligible, half of them women; a tenth of cluster days is left alone."""
    found = ad(name, female_ppb=500_000_000)
    eligible = {
        attribute: msgspec.structs.replace(one, people=200_000)
        for attribute, one in found.eligible.items()
    }
    return msgspec.structs.replace(found, eligible=eligible, arm_ppm=arm_ppm, counted_in=counted_in)


def arm_budget(name: str) -> Budget:
    return msgspec.structs.replace(budget(name), sigma="2.0", people_sigma="2.0", arm_sigma="2.0")


def arm_release(name: str, **members: object) -> Release:
    """Of a tenth that was left alone, 4,000 women and 7,000 men; of the others 45,000 and 54,000.

    So 40,000 and 70,000 without control, 50,000 and 60,000 with it. Of races only white and black
    were moved, and what stands here is what a proxy shows of it (M^T of the true counts).
    """
    rest = (64_000, 18_000, 12_000, 5_000)
    arm = (7_500, 1_400, 1_500, 600)
    matrix = np.array(model().M_ppb) / 1e9
    seen, seen_arm = (
        tuple(int(one) for one in np.rint(256 * matrix.T @ np.array(true))) for true in (rest, arm)
    )
    found = Release(
        ad=name,
        episode=1,
        final=True,
        impressions=110_100,
        counted=110_100,
        people=80_000,
        spend_nanos=110_100 * 2_000_000,
        sums={
            "sex": (49_000, 61_000, 100),
            "race": tuple(a + b for a, b in zip(seen, seen_arm, strict=True)),
        },
        unit={"sex": 1, "race": 256},
        arm_impressions=11_000,
        arm_spend_nanos=11_000 * 1_500_000,
        arm_squares=11_000,
        arm_counted=11_000,
        arm_sums={"sex": (4_000, 7_000, 0), "race": seen_arm},
    )
    return msgspec.structs.replace(found, **members)


ARM_PRICES = (-30_000, 30_000, 20_000, -20_000, 0, 0)
"""Men cost more, and white people."""


def arm_log(file: BinaryIO, ads: int = 1, *, counted_in: CountedIn = "person-days") -> Trail:
    """A log of ads whose control arms were released."""
    trail = begun(file)
    trail.record(arm_plan(), time_us=START_US + 5)
    for number in range(ads):
        name = f"ad-{number}"
        trail.record(arm_ad(name, counted_in=counted_in), time_us=START_US + 6)
        trail.record(arm_budget(name), time_us=START_US + 6)
        step = Control(ad=name, episode=0, lambda_micro=ARM_PRICES)
        trail.record(step, time_us=START_US + 7)
        trail.record(arm_release(name), time_us=START_US + 8)
        trail.figures(name, time_us=START_US + 9)
    return trail
