"""What an operator may set about the fairness of special ads."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class FairnessSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the delivery of ads for housing, employment and credit is measured and steered."""

    enabled: Annotated[
        bool,
        Meta(description="Measure and steer special ads; without any of them it costs nothing."),
    ] = True
    plan: Annotated[
        str,
        Meta(
            max_length=4096,
            description="Compliance plan: canada, united-states, us-v-meta, or a YAML file.",
        ),
    ] = "united-states"
    tables: Annotated[
        str,
        Meta(
            max_length=64,
            description="Set of census tables; empty: the newest installed, else the demo set.",
        ),
    ] = ""
    clusters: Annotated[
        int, Meta(ge=1, le=4096, description="Clusters of requests that control may tell apart.")
    ] = 256
    cluster_people: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="People met in a period before groups by cluster are released, once.",
        ),
    ] = 20_000
    cluster_sigma: Annotated[
        float, Meta(gt=0, le=1e6, description="Standard deviation of the noise of its numbers.")
    ] = 12.0
    audience_still_s: Annotated[
        int,
        Meta(
            ge=0,
            le=86_400,
            description="Seconds that an audience must not grow before it is measured, once in the "
            "plan's window; 0: at once.",
        ),
    ] = 60
