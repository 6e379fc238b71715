"""The goals of fairness."""
