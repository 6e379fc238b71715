"""Rows of keys for tests: requests and ads with numbered values."""

import numpy as np

from ringwork.ads.rank.features import AD_FIELDS, CONTEXT_FIELDS, ad_keys, context_keys


def contexts(codes) -> np.ndarray:
    """One request per row of numbers; a short row is continued with its last number."""
    return np.stack([context_keys(_named(row, len(CONTEXT_FIELDS))) for row in codes])


def ads(codes) -> np.ndarray:
    return ad_keys([_named(row, len(AD_FIELDS)) for row in codes])


def _named(row, width: int) -> list[str]:
    numbers = list(row)
    return [f"v{number}" for number in numbers + numbers[-1:] * (width - len(numbers))]


def random_rows(rng: np.random.Generator, rows: int, values: int):
    """(contexts, ads) of random values."""
    return (
        contexts(rng.integers(0, values, (rows, len(CONTEXT_FIELDS)))),
        ads(rng.integers(0, values, (rows, len(AD_FIELDS)))),
    )
