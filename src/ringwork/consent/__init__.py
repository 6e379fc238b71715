"""Consent: what may be known of whom, and the proof of it."""
