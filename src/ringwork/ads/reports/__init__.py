"""Reports: figures by any dimension from the exported log, equal to the ledger's to the nano.

``run_report`` asks a warehouse (the port; ``storage.warehouse`` is DuckDB over Parquet) and answers
rows of exact integers and ratios; ``to_csv`` writes them for a spreadsheet.
"""

from ringwork.ads.reports.csv_text import to_csv
from ringwork.ads.reports.report import Figure, Report, ReportRow, Warehouse, run_report
from ringwork.ads.reports.vocabulary import (
    DIMENSIONS,
    MONEY,
    RATIOS,
    SUMS,
    Dimension,
    Measure,
    ReportQuery,
)

__all__ = [
    "DIMENSIONS",
    "MONEY",
    "RATIOS",
    "SUMS",
    "Dimension",
    "Figure",
    "Measure",
    "Report",
    "ReportQuery",
    "ReportRow",
    "Warehouse",
    "run_report",
    "to_csv",
]
