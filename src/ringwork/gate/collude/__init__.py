"""Accounts that act as one: found by the places that they share, with the evidence (3.12)."""

from ringwork.gate.collude.cluster import Cluster, Thresholds, find_clusters, find_daily_clusters
from ringwork.gate.collude.evidence import Evidence, evidence_of
from ringwork.gate.collude.signatures import Actions

__all__ = [
    "Actions",
    "Cluster",
    "Evidence",
    "Thresholds",
    "evidence_of",
    "find_clusters",
    "find_daily_clusters",
]
