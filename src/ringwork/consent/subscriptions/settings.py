"""What an operator may set about subscriptions; every default works (and sells nothing)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

RetryDay = Annotated[int, Meta(ge=1, le=60)]


class SubscriptionSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The payment provider, and how patient a subscription is with it."""

    provider_url: Annotated[
        str, Meta(description="Base address of the payment provider; empty: nothing is sold.")
    ] = ""
    provider_key_file: Annotated[
        str, Meta(description="File with the key that the provider is asked with.")
    ] = ""
    webhook_secret_file: Annotated[
        str,
        Meta(description="File with the secrets of the provider's webhook, one a line."),
    ] = ""
    webhook_tolerance_s: Annotated[
        int, Meta(ge=1, le=3600, description="Seconds that a signed notice may be old or early.")
    ] = 300
    timeout_ms: Annotated[
        int, Meta(ge=100, le=60_000, description="Milliseconds that the provider has to answer.")
    ] = 10_000
    grace_days: Annotated[
        int, Meta(ge=0, le=60, description="Days without ads after a renewal that is not paid.")
    ] = 7
    retry_days: Annotated[
        tuple[RetryDay, ...],
        Meta(max_length=20, description="Days after it at which a declined renewal is retried."),
    ] = (1, 3, 5)
    linked_max: Annotated[
        int, Meta(ge=0, le=100, description="Accounts that may share one subscription.")
    ] = 10
