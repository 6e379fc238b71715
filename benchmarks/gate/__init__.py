"""The goals of the gate."""
