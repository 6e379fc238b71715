"""The tables of the consent part; the migrations create the same ones."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

_Int64: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
metadata: Final = sa.MetaData()
consent_records: Final = sa.Table(
    "consent_records",
    metadata,
    sa.Column("seq", _Int64, primary_key=True, autoincrement=False),
    sa.Column("subject", sa.LargeBinary, nullable=False),
    sa.Column("number", _Int64, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.Index("consent_records_subject", "subject", "number"),
    sqlite_strict=True,
)
consent_ads_free: Final = sa.Table(
    "consent_ads_free",
    metadata,
    sa.Column("hour", _Int64, primary_key=True, autoincrement=False),
    sa.Column("requests", _Int64, nullable=False),
    sqlite_strict=True,
)
consent_days: Final = sa.Table(
    "consent_days",
    metadata,
    sa.Column("day", _Int64, primary_key=True, autoincrement=False),
    sa.Column("action", sa.Text, primary_key=True),
    sa.Column("count", _Int64, nullable=False),
    sa.Column("steps", _Int64, nullable=False),
    sqlite_strict=True,
)
consent_asked: Final = sa.Table(
    "consent_asked",
    metadata,
    sa.Column("subject", sa.LargeBinary, primary_key=True),
    sa.Column("shown_us", _Int64, nullable=False),
    sa.Column("choice", sa.Text, nullable=False),
    # It covers the page's question: a month of people is counted without a look at their rows.
    sa.Index("consent_asked_shown", "shown_us", "choice"),
    sqlite_strict=True,
)
