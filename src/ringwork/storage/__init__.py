"""Adapters of the kernel's storage ports, named by technology: memory, SQLite, Parquet.

Only ``app`` and ``cli`` import from here; the parts take ports. Modules that need SQLAlchemy,
DuckDB or ``cryptography`` are imported by name, so that the log alone loads nothing but the
standard library.
"""
