"""``ringwork consent ledger``: check the consent ledger, and show what it holds of a person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from cyclopts import App

from ringwork.app.call import call, store_of
from ringwork.cli.answer import answer_of
from ringwork.cli.options import DEFAULTS, Options
from ringwork.cli.progress import counting
from ringwork.kernel.errors import ConfigurationError

app = App(name="ledger", help="Check the consent ledger, show what it holds of a person.")


@app.command
def verify(
    proof: Path | None = None, /, *, public_key: str = "", options: Options = DEFAULTS
) -> int:
    """Check every chain, day and signature of the ledger, or one proof; exit 1 when one is broken.

    Reads the log, on a stopped directory or beside a live server; a proof needs no directory where
    the key is given.

    Example: ringwork consent ledger verify --json

    Parameters
    ----------
    proof:
        A file with the answer of /v1/consent/PERSON/proof.
    public_key:
        The installation's public key in hex, as you noted it; else the directory's own.
    """
    if proof is not None:
        return _verify_proof(proof, _key(public_key, options), options)
    data = store_of(options.settings())
    from ringwork.consent.audit import audit  # noqa: PLC0415  # loads the part
    from ringwork.storage.sqlite.reader import SqliteLogReader  # noqa: PLC0415

    key = _key(public_key, options)
    with counting() as progress:
        found = audit(SqliteLogReader(data / "log").rows(), key, progress)
    text = (
        f"{found.records:,} records of {found.people:,} people, {found.days:,} days signed by "
        f"{key.hex()}, {found.open_records:,} records of the open day"
    )
    means = ", ".join(f"{action} {steps}" for action, steps in found.steps.items())
    lines = [text, *([f"mean steps: {means}"] if means else []), *found.details]
    lines.append("holds" if not found.violations else f"BROKEN {found.violations} times")
    options.show({**msgspec.to_builtins(found), "public_key": key.hex()}, "\n".join(lines))
    return 1 if found.violations else 0


@app.command
def show(person: str, /, *, options: Options = DEFAULTS) -> None:
    """Show what holds for a person, and every record of them.

    Example: ringwork consent ledger show 4711

    Parameters
    ----------
    person:
        Your id of the person.
    """
    settings = options.settings()
    store_of(settings)
    records: list[dict[str, Any]] = []
    cursor: str | None = "0"
    state: dict[str, Any] = {}
    while cursor is not None:
        page = answer_of(call(settings, "GET", f"/v1/consent/{person}/export?after={cursor}"))
        state, cursor = page["state"], page["next"]
        records += page["records"]
    if options.json:
        options.show({"state": state, "records": records}, "")
        return
    for one in state["purposes"]:
        joins = ", ".join(f"{join['from']} to {join['to']}" for join in one["services"])
        since = f" since {one['since']}" if one["since"] else ""
        print(f"{one['purpose']:<10} {one['status']}{since}{f' ({joins})' if joins else ''}")
    columns = {
        "number": "Record",
        "recorded_at": "Recorded",
        "action": "Action",
        "purposes": "Purposes",
        "surface": "Surface",
        "steps": "Steps",
        "hash": "Hash",
    }
    rows = [_row(one["receipt"]) for one in records]
    who = f"{state['subject']}{', a minor' if state['minor'] else ''}"
    options.table(rows, columns, title=f"Records of {who}")


def _row(receipt: dict[str, Any]) -> dict[str, object]:
    return {
        **receipt,
        "purposes": ", ".join(one["purpose"] for one in receipt["processing"]),
        "surface": receipt["collection"]["surface"],
        "steps": receipt["collection"]["steps"],
        "hash": receipt["hash"][:16],
    }


def _verify_proof(path: Path, key: bytes, options: Options) -> int:
    from ringwork.consent.proof import ProofBroken, check_proof, decode_proof  # noqa: PLC0415

    try:
        proof = decode_proof(path.read_bytes())
        event = check_proof(proof, key)
    except ProofBroken as broken:
        options.show({"holds": False, "broken": broken.reason}, f"BROKEN: {broken.reason}")
        return 1
    text = (
        f"record {event.number} of {proof.subject}: {event.action} {', '.join(event.purposes)}, "
        f"among {proof.tree.count} of its day, signed by {key.hex()}"
    )
    options.show({"holds": True, "subject": proof.subject, "number": event.number}, text)
    return 0


def _key(given: str, options: Options) -> bytes:
    if given:
        try:
            key = bytes.fromhex(given)
        except ValueError:
            key = b""
        if len(key) != 32:
            raise ConfigurationError(f"--public-key: 64 hex digits were expected, got {given!r}")
        return key
    from ringwork.app.secrets import FILE_NAME, read  # noqa: PLC0415
    from ringwork.consent.signing import Signer  # noqa: PLC0415

    path = store_of(options.settings()) / FILE_NAME
    if not path.exists():
        raise ConfigurationError(f"{path}: no secrets here; name the public key: --public-key HEX")
    seed = read(path).consent
    if not seed:
        raise ConfigurationError(f"{path}: written by a version without consent; start it once")
    return Signer(seed).public
