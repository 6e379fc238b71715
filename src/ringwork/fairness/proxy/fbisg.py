"""Fully Bayesian BISG: the area counts are measured with error, and the batch itself corrects them.

Imai, Olivella, Rosenman 2022 ("Addressing census data problems in race imputation via fully
Bayesian Improved Surname Geocoding and name supplements", Science Advances 8), the sampler of wru
(src/sample_me.cpp): collapsed Gibbs over the group of every person. A census that counts nobody of
a group in an area no longer excludes that group there.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ringwork.fairness.columns import Values, strings
from ringwork.fairness.names.rules import Rules
from ringwork.fairness.proxy.areas import NATION_ROW
from ringwork.fairness.proxy.batch import ProxyBatch
from ringwork.fairness.proxy.bisg import BISG, _check_length, _read, first_names_of
from ringwork.fairness.proxy.engine import loops
from ringwork.fairness.tables.model import GROUPS, NameTable, Tables
from ringwork.kernel.ports import Entropy

BURN_IN: Final = 1_000
SWEEPS: Final = 100
SWEEPS_MAX: Final = 1_000_000
FLOOR: Final = 1e-8
"""Added to P(name | group), as wru does: no name excludes a group."""
UNKNOWN_AREA_PEOPLE: Final = 1e4
"""The nation's shares count as this many people where the area is not known."""
UNCOUNTED_BEARERS: Final = 50.0
"""Of a name that a source lists without a number: it is below the 100 that the newer list needs."""


class FBISG(BISG):
    """Posteriors as shares of the draws of a Gibbs sampler; equal entropy gives equal answers."""

    name = "fbisg"

    def __init__(
        self,
        tables: Tables,
        *,
        entropy: Entropy,
        groups: Literal["six", "four"] = "six",
        name_rules: Rules = "extended",
        burn_in: int = BURN_IN,
        sweeps: int = SWEEPS,
    ) -> None:
        """``burn_in`` sweeps are thrown away, ``sweeps`` are counted. ValueError out of range."""
        super().__init__(tables, groups=groups, name_rules=name_rules, form="name_likelihood")
        if not (0 <= burn_in <= SWEEPS_MAX and 1 <= sweeps <= SWEEPS_MAX):
            raise ValueError(f"expected 0 or more and 1 or more sweeps, got {burn_in} and {sweeps}")
        self._entropy = entropy
        self._burn_in, self._sweeps = burn_in, sweeps
        self._chances = _chances(tables.surnames)

    def posterior(
        self,
        *,
        surname: Values,
        zip: Values | None = None,
        tract: Values | None = None,
        block_group: Values | None = None,
        first_name: Values | None = None,
    ) -> ProxyBatch:
        """As BISG's, estimated from draws; first names are used where they are given."""
        names, given = _read(surname, zip=zip, tract=tract, block_group=block_group)
        rows, kinds, _ = self._surnames(names, {})
        likelihoods = self._chances[rows]
        first_kinds = np.zeros(len(names), np.uint8)
        if first_name is not None:
            table = first_names_of(self.tables)
            written = strings(first_name)
            _check_length(len(written), len(names), "first_name")
            first = table.index.match(written, "extended")
            first_kinds = first.kinds
            likelihoods = likelihoods * _chances(table)[first.rows]
        areas = self.areas.rows(given, len(names))
        values = self._sampled(likelihoods, areas)
        return self._batch(values, kinds, first_kinds, self.areas.level[areas])

    def _sampled(
        self, likelihoods: NDArray[np.float64], areas: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """[n, 6] share of the draws after the burn-in that fell to each group."""
        used, at = np.unique(areas, return_inverse=True)
        places: NDArray[np.int32] = at.reshape(-1).astype(np.int32)
        people = self.areas.people[used]
        is_nation = used == NATION_ROW
        totals = people.sum(axis=1, keepdims=True)
        people[is_nation] *= UNKNOWN_AREA_PEOPLE / totals[is_nation]
        people += 1.0
        # Starts at the most likely group of each, which is nobody's answer: it is drawn anew.
        races = np.argmax(likelihoods * people[places], axis=1).astype(np.int8)
        np.add.at(people, (places, races), 1.0)
        state = np.uint64(int.from_bytes(self._entropy.take(8), "little"))
        visits = np.zeros((len(races), GROUPS), np.int32)
        run = loops().sweeps
        state = run(likelihoods, places, people, races, self._burn_in, state, visits)
        visits[:] = 0
        run(likelihoods, places, people, races, self._sweeps, state, visits)
        return (visits / self._sweeps).astype(np.float32)


def _chances(table: NameTable) -> NDArray[np.float64]:
    """[n + 2, 6] P(name | group) plus a floor; ones where no name was given."""
    counts = np.where(table.counts > 0, table.counts, UNCOUNTED_BEARERS)
    people = table.people
    bearers = np.vstack([counts[:, None] * table.shares, table.generic])
    chances = np.divide(bearers, people, out=np.zeros_like(bearers), where=people > 0)
    # Which of the unlisted names it is does not matter: their margin is a factor for all groups.
    chances[-1] *= max(table.generic_count, 1.0)
    return np.vstack([chances + FLOOR, np.ones(GROUPS)])
