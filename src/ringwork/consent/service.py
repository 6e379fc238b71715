"""The consent ledger's commands: one decision recorded, chained, and made to count at once.

Every method decides completely before it records anything. Saying no is never refused: not for a
lock, not for a bound, not a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from msgspec.structs import replace

from ringwork.consent.epochs import Bumps
from ringwork.consent.events import ConsentDaySealed, ConsentRecorded
from ringwork.consent.ledger import ConsentLedger
from ringwork.consent.merkle import DAY_US, GENESIS, Frontier, digest, link, statement
from ringwork.consent.model import NEVER_US, STATUS_AFTER, items, locked_until_us
from ringwork.consent.proof import SignedTree
from ringwork.consent.receipts import receipt_of, time_text
from ringwork.consent.requests import NewConsent, Receipt
from ringwork.consent.settings import ConsentSettings
from ringwork.consent.signing import Signer
from ringwork.kernel.errors import Conflict, Fault, Refused
from ringwork.kernel.ids import IdGenerator
from ringwork.kernel.journal import Command
from ringwork.kernel.ports import KeyStore
from ringwork.kernel.viewer import PERSON_PREFIX

CLOCK_OFF_MAX_US: Final = 5 * 60 * 1_000_000
RECORDS_MAX: Final = 10_000
"""Records of one person after which grants are refused: 25 a day for a year is no person."""
ERASED_BY: Final = "erasure"

Erase = Callable[[Command, str], Receipt]
"""Deletes a subject's keys, records that and then, by ``Consents.erased``, the end of consents."""


class Consents:
    """Records what people decide."""

    def __init__(
        self,
        *,
        ledger: ConsentLedger,
        settings: ConsentSettings,
        keys: KeyStore,
        pseudonym: Callable[[str], bytes],
        ids: IdGenerator,
        bumps: Bumps,
        signer: Signer,
        erase: Erase,
    ) -> None:
        self._ledger = ledger
        self._settings = settings
        self._keys = keys
        self._pseudonym = pseudonym
        self._ids = ids
        self._bumps = bumps
        self._signer = signer
        self._erase = erase

    def subject_of(self, person: str) -> bytes:
        """The pseudonym of a person's id: the id itself is kept nowhere."""
        return self._pseudonym(PERSON_PREFIX + person)

    def record(self, command: Command, asked: NewConsent, actor: str) -> Receipt:
        """Record a decision. Raises Refused for a wrong clock, Conflict where a rule refuses it."""
        _check(asked, command.ts_us)
        subject = self.subject_of(asked.person)
        if asked.action == "grant":
            self._check_grant(subject, asked, command.ts_us)
        if asked.action == "erase":
            return self._erase(command, PERSON_PREFIX + asked.person)
        self.seal_if_due(command)
        event_id, sealed = self._ids.new(), None
        if asked.signal is not None:
            context = event_id + b"signal"
            sealed = self._keys.seal(subject, asked.signal.value.encode(), context=context)
        event = self._chained(subject, command.ts_us, _event_of(asked, actor, sealed))
        return self._append(command, event_id, subject, event)

    def repeats(self, asked: NewConsent) -> int | None:
        """The event that said all this already, for what can be said only once: else None.

        A withdrawal or objection of what one record withdrew or objected to. A refusal may follow
        another, a year later: each counts.
        """
        if asked.action not in ("withdraw", "object") or asked.signal or asked.minor is not None:
            return None
        decisions = self._ledger.standing(self.subject_of(asked.person)).decisions
        named = list(_named(asked))
        found = [decisions.get(key) for key in named]
        status = STATUS_AFTER[asked.action]
        seqs = {one.seq if one and one.status == status else None for one in found}
        return seqs.pop() if named and len(seqs) == 1 else None

    def erased(self, command: Command, subject: bytes, cause_id: bytes) -> Receipt:
        """A person's keys were deleted: what was granted is withdrawn, every "no" stays."""
        self.seal_if_due(command)
        blank = NewConsent(person="-", action="erase", surface=ERASED_BY, asked=False)
        event = self._chained(subject, command.ts_us, _event_of(blank, "", None))
        return self._append(command, self._ids.new(), subject, event, cause_id=cause_id)

    def seal_if_due(self, command: Command) -> bool:
        """Sign the records of a day that is over; True where that was recorded."""
        day = self._ledger.open
        if not day.count or command.ts_us // DAY_US <= day.day:
            return False
        tree = self._signed()
        command.record(
            ConsentDaySealed(
                tree.day, tree.count, bytes.fromhex(tree.root), bytes.fromhex(tree.previous),
                tree.key_id, bytes.fromhex(tree.signature),
            ),
            purpose="consent",
        )  # fmt: skip
        return True

    def is_seal_due(self, now_us: int) -> bool:
        """Whether a day is over that is not sealed."""
        return bool(self._ledger.open.count) and now_us // DAY_US > self._ledger.open.day

    def signed_now(self) -> SignedTree:
        """The open day as it stands, signed."""
        return self._signed()

    @property
    def public_key(self) -> bytes:
        """What proofs are checked with."""
        return self._signer.public

    def _signed(self) -> SignedTree:
        day, previous = self._ledger.open, self._ledger.last_seal
        root = Frontier(day.count, day.nodes).root()
        signed = statement(day=day.day, count=day.count, root=root, previous=previous)
        return SignedTree(
            day.day, day.count, root.hex(), previous.hex(), self._signer.key_id,
            self._signer.sign(signed).hex(), True,
        )  # fmt: skip

    def _chained(self, subject: bytes, ts_us: int, event: ConsentRecorded) -> ConsentRecorded:
        """The event with its place in the person's chain."""
        standing = self._ledger.standing(subject)
        event = replace(event, number=standing.records + 1, prev_hash=standing.head or GENESIS)
        return replace(event, hash=link(event.prev_hash, digest(subject, ts_us, event)))

    def _append(
        self,
        command: Command,
        event_id: bytes,
        subject: bytes,
        event: ConsentRecorded,
        cause_id: bytes | None = None,
    ) -> Receipt:
        seq = command.next_seq
        command.record(
            event, event_id=event_id, subject=subject, purpose="consent", cause_id=cause_id
        )
        self._bumps.expect(seq, subject)
        return receipt_of(event, id=event_id, subject=subject, ts_us=command.ts_us)

    def _check_grant(self, subject: bytes, asked: NewConsent, now_us: int) -> None:
        standing = self._ledger.standing(subject)
        if "advertise" in asked.purposes and (standing.minor or asked.minor):
            raise Conflict("minor", "minors get no personalised ads (DSA 28(2))")
        if standing.records >= RECORDS_MAX:
            raise Conflict(
                "too-many-records",
                f"the person has {standing.records} records; only a refusal, withdrawal, objection "
                "or erasure is still taken",
            )
        if not asked.asked:
            return
        until = locked_until_us(standing, _named(asked), lock_us=self._settings.lock_us)
        if until == NEVER_US:
            raise Conflict(
                "objected",
                "the person objected: never ask again; a grant that they come to give by "
                "themselves says asked: false",
            )
        if until > now_us:
            after = time_text(until)
            raise Conflict(
                "asked-too-soon",
                f"refused or withdrawn; the person may be asked again after {after}",
                extension={"ask_again_after": after},
            )


def _named(asked: NewConsent) -> list[str]:
    return list(items(asked.purposes, _pairs(asked)))


def _pairs(asked: NewConsent) -> tuple[tuple[str, str], ...]:
    return tuple((one.source, one.target) for one in asked.services)


def _event_of(asked: NewConsent, actor: str, sealed: bytes | None) -> ConsentRecorded:
    """The event without its place in the chain."""
    return ConsentRecorded(
        number=0,
        action=asked.action,
        purposes=asked.purposes,
        services=_pairs(asked),
        basis=asked.basis,
        notice=asked.notice,
        notice_version=asked.notice_version,
        surface=asked.surface,
        steps=asked.steps,
        asked=asked.asked,
        locale=asked.locale,
        minor=asked.minor,
        signal_kind="" if asked.signal is None else asked.signal.kind,
        signal=sealed,
        actor=actor,
        prev_hash=GENESIS,
        hash=GENESIS,
    )


def _check(asked: NewConsent, now_us: int) -> None:
    """Raises Refused for a clock that is off, else Conflict with all that does not go together."""
    if asked.decided_us is not None and abs(asked.decided_us - now_us) > CLOCK_OFF_MAX_US:
        off_s = (asked.decided_us - now_us) // 1_000_000
        fault = Fault("/decided_us", f"at most 300 s from the server's clock, it is {off_s} s off")
        text = f"{fault.pointer}: {fault.detail}"
        raise Refused("clock-off", text, errors=[fault], status=422, title="Invalid request")
    faults = list(_faults(asked))
    if faults:
        text = "; ".join(f"{one.pointer}: {one.detail}" for one in faults)
        raise Conflict("consent-rule", text, errors=faults)


def _faults(asked: NewConsent) -> Iterator[Fault]:
    if len(set(asked.purposes)) < len(asked.purposes):
        yield Fault("/purposes", "each purpose once")
    if len(set(asked.services)) < len(asked.services):
        yield Fault("/services", "each pair once")
    for at, one in enumerate(asked.services):
        if one.source == one.target:
            yield Fault(f"/services/{at}", f"from and to are two services, both are {one.source}")
    if asked.action in STATUS_AFTER:
        yield from _faults_of_decision(asked)
    else:
        yield from _faults_of_fact(asked)


def _faults_of_decision(asked: NewConsent) -> Iterator[Fault]:
    is_grant = asked.action == "grant"
    if not asked.purposes and (is_grant or not asked.services):
        yield Fault("/purposes", f"at least one is needed to {asked.action}")
    if is_grant and not asked.notice:
        yield Fault("/notice", "the SHA-256 of the text that was shown goes with a grant")
    if is_grant and asked.basis != "consent" and "advertise" in asked.purposes:
        yield Fault("/basis", "personalised ads rest on consent alone")


def _faults_of_fact(asked: NewConsent) -> Iterator[Fault]:
    if asked.purposes or asked.services:
        yield Fault("/purposes", f"neither purposes nor services go with {asked.action}")
    if asked.action == "declare" and asked.minor is None:
        yield Fault("/minor", "true or false is what declare records")
    if asked.action == "erase" and (asked.minor is not None or asked.signal is not None):
        yield Fault("/action", "erase takes neither minor nor signal")
