"""``ringwork fairness log``: keys of the audit log, its head, and what is handed to others."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from ringwork.app.call import call, store_of
from ringwork.cli.answer import answer_of
from ringwork.cli.fairness_audit import read_log
from ringwork.cli.options import DEFAULTS, Options
from ringwork.kernel.errors import ConfigurationError, RingworkError

if TYPE_CHECKING:
    from ringwork.fairness.log import Head

app = App(
    name="log",
    help="Keys of the audit log, its head to publish, and copies for auditors.",
    help_format="plaintext",
)


@app.command
def keygen(*, out: Path = Path("fairness.key"), options: Options = DEFAULTS) -> None:
    """Make a signing key: the secret goes to a file, the public key is printed to be published.

    Example: ringwork fairness log keygen --out fairness.key

    Parameters
    ----------
    out
        The file for the secret, readable by you alone. One that exists is never overwritten.
    """
    from ringwork.fairness.log import Signer  # noqa: PLC0415  # loads cryptography
    from ringwork.kernel.entropy import SystemEntropy  # noqa: PLC0415

    seed = SystemEntropy().take(32)
    try:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError(f"{out}: is there already; a key is never overwritten") from None
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(seed.hex() + "\n")
    public = Signer(seed).public
    options.show(
        {"file": str(out), "public_key": public}, f"secret in {out}; public key:\n{public}"
    )


@app.command
def head(log: Path, /, *, options: Options = DEFAULTS) -> None:
    """Check a log and print the line of its end, to be published where its owner cannot change it.

    Whoever kept the line notices later that the log was cut or written anew.

    Example: ringwork fairness log head fairness.jsonl

    Parameters
    ----------
    log
        The log, as JSON lines.
    """
    found = _held(log)
    shown = {
        "log": found.log,
        "seq": found.seq,
        "hash": found.hash,
        "public_key": found.public_key,
        "line": found.line(),
    }
    options.show(shown, found.line())


@app.command
def export(log: Path, out: Path, /, *, options: Options = DEFAULTS) -> None:
    """Copy a checked log up to its last signed record, for an auditor.

    Example: ringwork fairness log export fairness.jsonl for-auditor.jsonl

    Parameters
    ----------
    log
        The log, as JSON lines.
    out
        The copy; a file that exists is never overwritten.
    """
    from ringwork.fairness.log import Chain, lines  # noqa: PLC0415  # loads cryptography

    _held(log)
    chain, held, copied = Chain(), [], 0
    with log.open("rb") as source, out.open("xb") as target:
        for line in lines(source):
            if not line.endswith(b"\n"):
                break
            record = chain.follow(line)
            held.append(line)
            if chain.signed_through == record.seq:
                target.write(b"".join(held))
                copied, held = copied + len(held), []
    text = f"{copied:,} records to {out}; {len(held):,} after the last signature left out"
    options.show({"file": str(out), "records": copied, "left_out": len(held)}, text)


@app.command(name="rotate-key")
def rotate_key(
    log: Path | None = None,
    /,
    *,
    reason: str,
    key: Path | None = None,
    new: Path | None = None,
    options: Options = DEFAULTS,
) -> None:
    """Append a record, signed by the present key, that another key signs from here on.

    Without LOG: the log of the platform in the data directory, whose server may run. It makes and
    keeps the new secret itself, in secrets.json: back that up again.

    With LOG: a log of your own. Nothing else may write to it meanwhile; a torn last line is cut off
    first. Never a platform's fairness.jsonl, which follows the platform's events.

    Example: ringwork fairness log rotate-key --reason yearly

    Parameters
    ----------
    log
        A log of your own, as JSON lines.
    reason
        Why; it stands in the log.
    key
        Of a log of your own: the file of the present key (`keygen`).
    new
        Of a log of your own: the file of the next key.
    """
    if log is None:
        if key is not None or new is not None:
            raise ConfigurationError("--key and --new: expected LOG with them, got none")
        _rotate_platform(reason, options)
    elif key is None or new is None:
        raise ConfigurationError(f"{log}: expected --key and --new, of a log of your own")
    else:
        _rotate_own(log, key, new, reason, options)


def _rotate_platform(reason: str, options: Options) -> None:
    settings = options.settings()
    store_of(settings)
    made = answer_of(call(settings, "POST", "/v1/fairness/log/rotations", {"reason": reason}))
    # The file follows its reader, so that it holds the record now, with or without a server.
    answer_of(call(settings, "GET", f"/v1/fairness/log?after={made['seq'] - 1}&limit=1"))
    text = (
        f"record {made['seq']}: {made['previous_public_key']} vouches for {made['public_key']}\n"
        "publish the new key and `log head`; back up secrets.json again"
    )
    options.show(made, text)


def _rotate_own(log: Path, key: Path, new: Path, reason: str, options: Options) -> None:
    from ringwork.fairness.log import Signer  # noqa: PLC0415  # loads cryptography
    from ringwork.fairness.trail import Trail  # noqa: PLC0415

    present, following = Signer(_seed(key)), Signer(_seed(new))
    with log.open("r+b") as file:
        trail, torn = Trail.resumed(file, present)
        if trail.writer.next_seq == 0:
            raise RingworkError(f"{log}: an empty log has no key to rotate")
        now_us = time.time_ns() // 1000
        record = trail.writer.rotate(following, reason, time_us=now_us)
    text = f"record {record.seq}: {present.public} vouches for {following.public}"
    shown = {"seq": record.seq, "public_key": following.public, "torn_bytes": torn}
    options.show(shown, text if not torn else f"{text}; {torn} bytes of a torn line cut off")


def _held(log: Path) -> Head:
    """The head of a log that holds together; else the command ends with the first record."""
    found = read_log(log, None, None).found
    if found.verdict > 1:
        first = found.findings[0]
        raise RingworkError(f"{log}: {found.word}: record {first.seq}: {first.detail}")
    assert found.head is not None
    return found.head


def _seed(path: Path) -> bytes:
    text = path.read_text(encoding="ascii", errors="replace").strip()
    try:
        seed = bytes.fromhex(text)
    except ValueError:
        seed = b""
    if len(seed) != 32:
        raise ConfigurationError(f"{path}: expected 64 hex digits, as `log keygen` writes them")
    return seed
