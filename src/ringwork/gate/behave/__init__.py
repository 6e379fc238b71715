"""Behaviour judged: a tree model with a guaranteed rate of false positives, habits, drift (7.7)."""
