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
from ringwork.fairness.names.rules import NONE, Match, Rules
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

BLOCK: Final = 32_768
"""People at a time: their rows and kinds fit into the second cache."""

Rows = NDArray[np.int32]
Kinds = NDArray[np.uint8]
Known = tuple[dict[str, Match], dict[str, Match]]
"""What the rules found so far, of surnames and of first names."""
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
        return self._estimated(*_read(surname, zip=zip, tract=tract, block_group=block_group), None)

    def posterior_ids(self, surname_id: Rows, area_id: Rows) -> NDArray[np.float32]:
        """[n, 6] posteriors of names and areas that were encoded before; see ``encoded``.

        ValueError for ids out of range.
        """
        _check(surname_id, len(self._names), "surname_id")
        _check(area_id, len(self._area_rows), "area_id")
        values = np.empty((len(surname_id), GROUPS), np.float32)
        empty = np.empty(len(values), np.int32)
        count = loops().two(self._names, self._area_rows, surname_id, area_id, values, empty)
        values[empty[:count]] = self.areas.shares[area_id[empty[:count]]]
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
        return matched.rows, self.areas.rows(people, len(names))

    def _estimated(
        self, names: Strings, given: dict[Level, Strings], first_names: Strings | None
    ) -> ProxyBatch:
        """In blocks, so that what is between names and posteriors stays in the cache."""
        count = len(names)
        values = np.empty((count, GROUPS), np.float32)
        kinds, first_kinds, levels = (np.zeros(count, np.uint8) for _ in range(3))
        known: Known = {}, {}
        for start in range(0, count, BLOCK):
            rows = slice(start, min(start + BLOCK, count))
            part = {level: one.part(start, rows.stop) for level, one in given.items()}
            areas = self.areas.rows(part, rows.stop - start)
            first = None if first_names is None else first_names.part(start, rows.stop)
            columns = names.part(start, rows.stop), first
            kinds[rows], first_kinds[rows] = self._block(*columns, areas, values[rows], known)
            np.take(self.areas.level, areas, out=levels[rows], mode="clip")
        return self._batch(values, kinds, first_kinds, levels)

    def _block(
        self,
        names: Strings,
        first_names: Strings | None,
        areas: Rows,
        values: Table,
        known: Known,
    ) -> tuple[Kinds, Kinds]:
        """Fills in the posteriors of some people; how their names matched."""
        assert first_names is None
        rows, kinds, table = self._surnames(names, known[0])
        empty = np.empty(len(names), np.int32)
        count = loops().two(table, self._area_rows, rows, areas, values, empty)
        # Where nothing is left of name and area together, the area alone; and say so.
        values[empty[:count]] = self.areas.shares[areas[empty[:count]]]
        kinds[empty[:count]] = NONE
        return kinds, np.zeros(len(names), np.uint8)

    def _surnames(self, written: Strings, known: dict[str, Match]) -> tuple[Rows, Kinds, Table]:
        """Rows and kinds, and the table that the rows are of."""
        matched = self.tables.surnames.index.match(written, self._rules, known)
        rows = matched.rows
        if self._double_names == "first":
            return rows, matched.kinds, self._names
        is_pair = matched.seconds >= 0
        pairs, at = np.unique(
            np.column_stack([rows[is_pair], matched.seconds[is_pair]]), axis=0, return_inverse=True
        )
        means = np.sqrt(self._names[pairs[:, 0]] * self._names[pairs[:, 1]])
        rows[is_pair] = len(self._names) + at.reshape(-1)
        return rows, matched.kinds, np.vstack([self._names, means])

    def _batch(
        self,
        values: Table,
        kinds: Kinds,
        first_kinds: Kinds,
        levels: Kinds,
    ) -> ProxyBatch:
        found = ProxyBatch(
            values,
            RACE_SIX,
            kinds,
            first_kinds,
            levels,
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
        names, given = _read(surname, zip=zip, tract=tract, block_group=block_group)
        first = strings(first_name)
        _check_length(len(first), len(names), "first_name")
        return self._estimated(names, given, first)

    def _block(
        self,
        names: Strings,
        first_names: Strings | None,
        areas: Rows,
        values: Table,
        known: Known,
    ) -> tuple[Kinds, Kinds]:
        if first_names is None:
            return super()._block(names, first_names, areas, values, known)
        rows, kinds, table = self._surnames(names, known[0])
        first = self._first.index.match(first_names, "extended", known[1])
        args = table, self._area_rows, self._first_rows, rows, areas, first.rows
        empty = np.empty(len(names), np.int32)
        count = loops().three(*args, values, empty)
        if count:
            names_of = (table, rows, kinds), (first.rows, first.kinds)
            self._fill_three(values, empty[:count], *names_of, areas)
        return kinds, first.kinds

    def _fill_three(
        self,
        values: Table,
        empty: Rows,
        surname: tuple[Table, Rows, Kinds],
        first: tuple[Rows, Kinds],
        areas: Rows,
    ) -> None:
        """Without the first name, else without the surname, else the area alone."""
        (table, rows, kinds), (first_rows, first_kinds) = surname, first
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
