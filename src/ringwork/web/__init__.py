"""What every HTTP surface shares.

Fast lane, strict bodies, problems, idempotency, auth, metrics.
"""
