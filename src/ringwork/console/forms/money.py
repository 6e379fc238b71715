"""The forms of an invoice and of a credit note."""

from __future__ import annotations

from collections.abc import Sequence

from ringwork.console.forms import texts
from ringwork.console.forms.members import Group, Member, Option


def invoice_groups(advertisers: Sequence[Option]) -> tuple[Group, ...]:
    """What an invoice is of, and its tax."""
    return (
        Group(
            title="Whose, up to when",
            members=(
                Member(
                    pointer="/advertiser", label="Advertiser", size=24, is_needed=True,
                    options=tuple(advertisers), expected="the id of an advertiser",
                ),
                Member(
                    pointer="/month", label="Month", size=10, is_needed=True,
                    expected="a month such as 2026-11",
                    hint="The last one that it takes, as 2026-11; months before it that no invoice "
                    "holds come with it.",
                ),
            ),
        ),
        Group(
            title="Its tax",
            members=(
                Member(
                    pointer="/tax/name", label="Name of the tax", size=16, is_needed=True,
                    expected="1 to 32 characters", hint="As IVA or VAT; none where there is none.",
                ),
                Member(
                    pointer="/tax/rate_ppm", label="Rate, %", codec=texts.PERCENT, size=10,
                    is_needed=True, expected="0 to 100", hint="Of the net, as 23.",
                ),
            ),
        ),
    )  # fmt: skip


def credit_groups(currency: str) -> tuple[Group, ...]:
    """How much of an invoice is given back, and why."""
    return (
        Group(
            title="What is given back",
            members=(
                Member(
                    pointer="/amount", label=f"Net, {currency}", codec=texts.money_of(currency),
                    size=16, is_needed=True, hint="Without tax, which follows in proportion.",
                ),
                Member(
                    pointer="/reason", label="Reason", kind="area", size=3, is_needed=True,
                    expected="1 to 500 characters", hint="It stands on the credit note.",
                ),
            ),
        ),
    )  # fmt: skip
