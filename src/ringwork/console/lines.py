"""From rows of the stores to the facts of the pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from ringwork.ads import projections as ads
from ringwork.console.facts import (
    Bin,
    ChangeFacts,
    ConversionFacts,
    Pace,
    RequestLine,
    TransferLine,
)
from ringwork.kernel.events import Recorded
from ringwork.kernel.ids import format_id
from ringwork.kernel.ledger import Entry, TransferCreated


def bin_of(span: ads.Span) -> Bin:
    """A span of the counts table."""
    counts = span.counts
    return Bin(
        ts_us=span.ts_us,
        requests=counts.requests,
        slots=counts.slots,
        sold=counts.sold,
        impressions=counts.impressions,
        clicks=counts.clicks,
        earned_nanos=counts.spent_nanos,
    )


def request_line(row: ads.RequestRow) -> RequestLine:
    """A row of the requests table."""
    return RequestLine(
        request_id=format_id(row.request_id),
        ts_us=row.ts_us,
        source=row.source,
        place=row.place,
        placement=row.placement,
        formats=row.formats,
        slots=row.slots,
        sold=row.sold,
        campaigns=tuple(sale.campaign_id for sale in row.sales),
        price_nanos=row.price_nanos,
        currency=row.currency,
        outcome=row.outcome,
    )


def pace_of(row: ads.PaceRow) -> Pace:
    """A row of the table of pacing."""
    return Pace(
        ts_us=row.ts_us,
        unit=row.unit,
        begins_s=row.begins_s,
        ends_s=row.ends_s,
        budget=row.budget,
        spent=row.spent,
        due=row.due,
        reach=row.reach,
        pace_ppm=row.pace_ppm,
    )


def change_of(row: ads.ChangeRow) -> ChangeFacts:
    """A row of the history."""
    return ChangeFacts(
        ts_us=row.ts_us,
        seq=row.seq,
        actor=row.actor,
        label=row.label,
        action=row.action,
        reason=row.reason,
        changes=[(one.member, bytes(one.old), bytes(one.new)) for one in row.changes],
    )


def conversion_of(row: ads.ConversionRow) -> ConversionFacts:
    """A row of the conversions."""
    return ConversionFacts(
        seq=row.seq,
        ts_us=row.ts_us,
        request_id=format_id(row.request_id),
        conversion_id=row.conversion_id,
        ad_id=row.ad_id,
        value_nanos=row.value_nanos,
        charged_nanos=row.charged_nanos,
        currency=row.currency,
        unbilled_reason=row.unbilled_reason,
        view_through=row.view_through,
    )


def transfer_line(ts_us: int, entry: Entry, *, request_id: bytes | None = None) -> TransferLine:
    """A transfer as the index keeps it; its other half is tied on by ``tied``."""
    asked = entry.transfer
    return TransferLine(
        id=asked.id,
        ts_us=ts_us,
        kind=asked.kind,
        state=entry.state,
        debit=asked.debit_account,
        credit=asked.credit_account,
        amount_nanos=asked.amount_nanos,
        currency=asked.currency,
        pending_id=asked.pending_id,
        timeout_s=asked.timeout_s,
        reference=asked.reference,
        result=entry.result,
        request_id=format_id(request_id) if request_id is not None else "",
    )


def tied(lines: Sequence[TransferLine], resolvers: Iterable[TransferLine]) -> list[TransferLine]:
    """Pending transfers with the post or void that resolved them, where ``resolvers`` has it."""
    by_pending = {line.pending_id: line for line in resolvers if line.pending_id}
    return [_tie(line, by_pending.get(line.id)) for line in lines]


def _tie(line: TransferLine, resolver: TransferLine | None) -> TransferLine:
    if resolver is None:
        return line
    moved = resolver.amount_nanos if resolver.kind == "post" else 0
    return replace(line, resolved_by=resolver.id, moved_nanos=moved)


def resolvers_in(events: Sequence[Recorded]) -> list[TransferLine]:
    """The posts and voids among a request's events."""
    return [
        TransferLine(
            id=event.id,
            ts_us=recorded.ts_us,
            kind=event.kind,
            state="closed",
            debit=event.debit_account,
            credit=event.credit_account,
            amount_nanos=event.amount_nanos,
            currency=event.currency,
            pending_id=event.pending_id,
            request_id=format_id(recorded.request_id),
        )
        for recorded in events
        if isinstance(event := recorded.payload, TransferCreated) and event.pending_id
    ]
