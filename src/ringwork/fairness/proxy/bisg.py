"""BISG and BIFSG: Bayes' rule on surname, first name and area.

Elliott et al. 2009 (BISG), in the regulator's form (CFPB 2014): the posterior of a group is
proportional to P(group | surname) P(area | group). Voicu 2018 (BIFSG): times P(first name | group),
from numbers of people, and not from shares as if every name had equally many bearers.

``form="name_likelihood"`` is P(surname | group) P(group | area). The two are the same only where
both tables have one national margin, which a list of all ages and areas of adults have not.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ringwork.fairness.columns import Strings, Values, strings
from ringwork.fairness.model import RACE_FOUR, RACE_SIX
from ringwork.fairness.names.rules import GENERIC, NONE, TABLE, Rules
from ringwork.fairness.proxy.areas import Areas, areas_of
from ringwork.fairness.proxy.batch import ProxyBatch
from ringwork.fairness.proxy.engine import loops
from ringwork.fairness.tables.model import DIGITS, GROUPS, Level, NameTable, Tables
from ringwork.kernel.errors import Refused

Form = Literal["area_likelihood", "name_likelihood"]
DoubleNames = Literal["first", "mean"]
GroupsOf: Final = {"six": RACE_SIX, "four": RACE_FOUR}
PEOPLE_MAX: Final = 50_000_000
"""Of one batch: 1.2 GB of posteriors."""

Rows = NDArray[np.int32]
Table = NDArray[np.float32]


class BISG:
    """Posteriors from surname and area."""

    name = "bisg"

    def __init__(
        self,
        tables: Tables,
        *,
        groups: Literal["six", "four"] = "six",
        name_rules: Rules = "extended",
        form: Form = "area_likelihood",
        double_names: DoubleNames = "first",
    ) -> None:
        """Make the tables ready.

        ``double_names="mean"`` takes the geometric mean of both parts' likelihoods where both are
        listed, in place of the first. ValueError for a choice that there is not.
        """
        for value, choices in (
            (groups, tuple(GroupsOf)),
            (name_rules, ("cfpb", "extended")),
            (form, ("area_likelihood", "name_likelihood")),
            (double_names, ("first", "mean")),
        ):
            if value not in choices:
                raise ValueError(f"expected one of {', '.join(choices)}; got {value!r}")
        self.tables = tables
        self.areas: Areas = areas_of(tables)
        self._partition = GroupsOf[groups]
        self._rules: Rules = name_rules
        self._double_names = double_names
        is_name = form == "name_likelihood"
        self._names = _name_rows(tables.surnames, by_margin=is_name)
        self._area_rows = self.areas.shares if is_name else self.areas.lifts

    @property
    def generic_id(self) -> int:
        """The surname id of all names that are not listed; one more: no name was given."""
        return len(self.tables.surnames.keys)

    def posterior(
        self,
        *,
        surname: Values,
        zip: Values | None = None,
        tract: Values | None = None,
        block_group: Values | None = None,
        first_name: Values | None = None,
    ) -> ProxyBatch:
        """The posteriors of people, from columns of equal length.

        Rows out = rows in, in order; no row is missing or not a number. What is not known falls
        back: a name that is not listed to all other names, an area to the next wider one; where
        name and area exclude each other the area alone counts. BISG takes no first names. Raises
        ValueError for columns of different lengths.
        """
        if first_name is not None:
            raise ValueError("expected no first names: BIFSG and fBISG take them")
        names, people = _read(surname, zip=zip, tract=tract, block_group=block_group)
        rows, kinds, table = self._surnames(names)
        areas = self.areas.rows(people, len(names))
        values = np.empty((len(names), GROUPS), np.float32)
        if loops().two(table, self._area_rows, rows, areas, values):
            self._fill(values, kinds, areas)
        return self._batch(values, kinds, np.zeros(len(names), np.uint8), areas)

    def posterior_ids(self, surname_id: Rows, area_id: Rows) -> NDArray[np.float32]:
        """[n, 6] posteriors of names and areas that were encoded before; see ``encoded``.

        ValueError for ids out of range.
        """
        _check(surname_id, len(self._names), "surname_id")
        _check(area_id, len(self._area_rows), "area_id")
        values = np.empty((len(surname_id), GROUPS), np.float32)
        if loops().two(self._names, self._area_rows, surname_id, area_id, values):
            self._fill(values, np.zeros(len(values), np.uint8), area_id)
        return values

    def encoded(
        self,
        *,
        surname: Values,
        zip: Values | None = None,
        tract: Values | None = None,
        block_group: Values | None = None,
    ) -> tuple[Rows, Rows]:
        """Surname and area ids for ``posterior_ids``, of this set of tables only."""
        names, people = _read(surname, zip=zip, tract=tract, block_group=block_group)
        matched = self.tables.surnames.index.match(names, self._rules)
        return _row_of(matched.rows, matched.kinds, self.generic_id), self.areas.rows(
            people, len(names)
        )

    def _surnames(self, written: Strings) -> tuple[Rows, NDArray[np.uint8], Table]:
        """Rows and kinds, and the table that the rows are of."""
        matched = self.tables.surnames.index.match(written, self._rules)
        rows = _row_of(matched.rows, matched.kinds, self.generic_id)
        if self._double_names == "first":
            return rows, matched.kinds, self._names
        is_pair = matched.seconds >= 0
        pairs, at = np.unique(
            np.column_stack([rows[is_pair], matched.seconds[is_pair]]), axis=0, return_inverse=True
        )
        means = np.sqrt(self._names[pairs[:, 0]] * self._names[pairs[:, 1]])
        rows[is_pair] = len(self._names) + at.reshape(-1)
        return rows, matched.kinds, np.vstack([self._names, means])

    def _fill(self, values: Table, kinds: NDArray[np.uint8], areas: Rows) -> None:
        """Where nothing is left of name and area together, the area alone; and say so."""
        empty = np.flatnonzero(~values.any(axis=1))
        values[empty] = self.areas.shares[areas[empty]]
        kinds[empty] = NONE

    def _batch(
        self,
        values: Table,
        kinds: NDArray[np.uint8],
        first_kinds: NDArray[np.uint8],
        areas: Rows,
    ) -> ProxyBatch:
        found = ProxyBatch(
            values,
            RACE_SIX,
            kinds,
            first_kinds,
            self.areas.level[areas],
            self.tables.name,
            self.tables.sha256,
            self.tables.demo_tables,
        )
        return found if self._partition is RACE_SIX else found.merged(self._partition)


class BIFSG(BISG):
    """Posteriors from surname, first name and area. Raises Refused for tables without them."""

    name = "bifsg"

    def __init__(
        self,
        tables: Tables,
        *,
        groups: Literal["six", "four"] = "six",
        name_rules: Rules = "extended",
        form: Form = "area_likelihood",
        double_names: DoubleNames = "first",
    ) -> None:
        super().__init__(
            tables, groups=groups, name_rules=name_rules, form=form, double_names=double_names
        )
        self._first = first_names_of(tables)
        self._first_rows = _name_rows(self._first, by_margin=True)
        self._first_rows[-1] = 1.0

    def posterior(
        self,
        *,
        surname: Values,
        zip: Values | None = None,
        tract: Values | None = None,
        block_group: Values | None = None,
        first_name: Values | None = None,
    ) -> ProxyBatch:
        """As BISG's; where the first name excludes all else, it is left out, and flagged."""
        if first_name is None:
            return super().posterior(surname=surname, zip=zip, tract=tract, block_group=block_group)
        names, people = _read(surname, zip=zip, tract=tract, block_group=block_group)
        first_written = strings(first_name)
        _check_length(len(first_written), len(names), "first_name")
        rows, kinds, table = self._surnames(names)
        first = self._first.index.match(first_written, "extended")
        first_rows = _row_of(first.rows, first.kinds, len(self._first.keys))
        areas = self.areas.rows(people, len(names))
        values = np.empty((len(names), GROUPS), np.float32)
        args = table, self._area_rows, self._first_rows
        if loops().three(*args, rows, areas, first_rows, values):
            self._fill_three(values, (table, rows, kinds), (first_rows, first.kinds), areas)
        return self._batch(values, kinds, first.kinds, areas)

    def _fill_three(
        self,
        values: Table,
        surname: tuple[Table, Rows, NDArray[np.uint8]],
        first: tuple[Rows, NDArray[np.uint8]],
        areas: Rows,
    ) -> None:
        """Without the first name, else without the surname, else the area alone."""
        (table, rows, kinds), (first_rows, first_kinds) = surname, first
        empty = np.flatnonzero(~values.any(axis=1))
        there = areas[empty]
        by_surname = table[rows[empty]] * self._area_rows[there]
        by_first = self._first_rows[first_rows[empty]] * self.areas.shares[there]
        has_surname, has_first = by_surname.sum(axis=1) > 0, by_first.sum(axis=1) > 0
        found = np.where(has_first[:, None], by_first, self.areas.shares[there])
        found = np.where(has_surname[:, None], by_surname, found)
        values[empty] = found / found.sum(axis=1)[:, None]
        kinds[empty[~has_surname]] = NONE
        first_kinds[empty[has_surname | ~has_first]] = NONE


def first_names_of(tables: Tables) -> NameTable:
    """The first names of a set. Raises Refused (tables-missing) where it has none."""
    if tables.first_names is None:
        raise Refused(
            "tables-missing",
            f"{tables.name} has no first names: build it with `ringwork fairness tables build`",
            status=503,
        )
    return tables.first_names


def _name_rows(table: NameTable, *, by_margin: bool) -> Table:
    """[n + 2, 6] shares of each name, of all others, and zeros for no name.

    ``by_margin``: divided by the margin of the list, which is P(name | group) up to a factor.
    """
    rows = np.vstack([table.shares, table.generic, np.zeros(GROUPS)])
    if by_margin:
        people = table.people
        margin = people / people.sum()
        rows = np.divide(rows, margin, out=np.zeros_like(rows), where=margin > 0)
    return rows.astype(np.float32)


def _row_of(rows: Rows, kinds: NDArray[np.uint8], generic: int) -> Rows:
    """Rows of ``_name_rows``: that of the name, of all others, or of none."""
    found: Rows = np.where(kinds >= TABLE, rows, np.where(kinds == GENERIC, generic, generic + 1))
    return found.astype(np.int32, copy=False)


def _read(surname: Values, **areas: Values | None) -> tuple[Strings, dict[Level, Strings]]:
    names = strings(surname)
    if len(names) > PEOPLE_MAX:
        raise ValueError(f"expected at most {PEOPLE_MAX} people in a batch, got {len(names)}")
    found: dict[Level, Strings] = {}
    for level, digits in DIGITS.items():
        values = areas[level]
        if values is not None:
            found[level] = strings(values, digits=digits)
            _check_length(len(found[level]), len(names), level)
    return names, found


def _check_length(length: int, people: int, column: str) -> None:
    if length != people:
        raise ValueError(f"{column}: expected {people} rows, as surname has, got {length}")


def _check(ids: Rows, rows: int, name: str) -> None:
    if len(ids) and not (ids.min() >= 0 and ids.max() < rows):
        raise ValueError(f"{name}: expected ids from 0 to {rows - 1}")
