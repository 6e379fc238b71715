"""Loaded by schemathesis: an accepted form may be 422 for one reason only, a key used for another body.

The fuzzer sends one Idempotency-Key with many bodies, which the contract answers with 422
``idempotency-mismatch``. The configuration therefore tolerates 422, and this check takes back
what is too much of that.
"""

import schemathesis
from schemathesis.generation import GenerationMode


@schemathesis.check
def valid_bodies_are_not_refused_as_invalid(ctx, response, case) -> None:
    """A body that the document allows is never answered with 422 ``invalid``."""
    meta = case.meta
    if response.status_code != 422 or meta is None:
        return
    if case.path.startswith("/choice"):  # a page's address: who is named how goes together or not
        return
    if meta.generation.mode == GenerationMode.POSITIVE:
        problem = response.json()["type"]
        # A client's clock is right or wrong by the server's, which no schema can say.
        expected = (":idempotency-mismatch", ":clock-off")
        assert problem.endswith(expected), f"{problem} for a valid body"
