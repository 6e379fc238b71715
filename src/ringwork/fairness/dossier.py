"""The technical documentation that the EU AI Act asks of a high-risk system, from one audited log.

Regulation (EU) 2024/1689: Annex IV gives the headings, Article 9 the risk register, 12 and 19 the
logs, 14 human oversight, 15 accuracy, 72 monitoring after release. Annex III, point 4 (a), makes
systems that place targeted job advertisements high-risk; housing and credit ads are documented the
same way. What only the provider knows (name, contact, declaration) is taken from a file of theirs
or said to be open: nothing is made up. It is documentation, no legal opinion.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from datetime import date
from importlib.resources import files
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from ringwork.fairness.audit import Audit, Auditor
from ringwork.fairness.rendering import environment, to_csv, to_html, to_json
from ringwork.fairness.report import Document, document_of
from ringwork.kernel.errors import Refused

ZIP_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time that the format knows: equal bundles are equal bytes."""
Text = Annotated[str, Meta(max_length=20_000)]


class Risk(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of the risk register."""

    id: str
    title: str
    harm: str
    cause: str
    measures: str
    residual: str
    seen_by: str


class Change(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One change of what is measured, promised or protected."""

    date: date
    version: str
    what: str
    why: str
    effect: str
    risks: tuple[str, ...]


class Register(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``risks.yaml``."""

    risks: tuple[Risk, ...]


class History(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``changes.yaml``, newest first."""

    changes: tuple[Change, ...]


class Provider(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What only the provider knows. Empty: open."""

    name: Text = ""
    contact: Text = ""
    purpose: Text = ""
    deployment: Text = ""
    standards: Text = ""
    declaration: Text = ""
    monitoring: Text = ""
    oversight: Text = ""


def provider_of(text: bytes, *, where: str) -> Provider:
    """The provider's own file (YAML). Refused (record-invalid) says what is wrong with it."""
    try:
        return msgspec.yaml.decode(text, type=Provider)
    except msgspec.DecodeError as error:
        raise Refused("record-invalid", f"{where}: {error}", status=422) from None


def risks() -> tuple[Risk, ...]:
    """The checked-in risk register."""
    return msgspec.yaml.decode(_packaged("risks.yaml"), type=Register).risks


def changes() -> tuple[Change, ...]:
    """The checked-in history, newest first."""
    return msgspec.yaml.decode(_packaged("changes.yaml"), type=History).changes


def bundle(auditor: Auditor, *, provider: Provider | None, log_bytes: bytes) -> dict[str, bytes]:
    """Name -> content of every file, the manifest of their hashes last.

    ``log_bytes``: the log that the auditor has read, to be handed on with what follows from it.
    """
    document = document_of(auditor)
    content = {
        "technical-documentation.html": _page(document, auditor, provider or Provider()),
        "report.html": to_html(document),
        "report.json": to_json(document),
        "report.csv": to_csv(document),
        "audit.json": _formatted(auditor.found),
    }
    found = {name: text.encode() for name, text in content.items()}
    found["risks.yaml"], found["changes.yaml"] = _packaged("risks.yaml"), _packaged("changes.yaml")
    found["fairness.jsonl"] = log_bytes
    hashes = "".join(f"{hashlib.sha256(one).hexdigest()}  {name}\n" for name, one in found.items())
    found["SHA256SUMS"] = hashes.encode()
    return found


def archive_of(content: Mapping[str, bytes]) -> bytes:
    """The files as a ZIP; the same files give the same bytes."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, one in content.items():
            entry = zipfile.ZipInfo(name, ZIP_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, one)
    return target.getvalue()


def _page(document: Document, auditor: Auditor, provider: Provider) -> str:
    state = auditor.state
    held = sum(auditor.held.values())
    page = environment().get_template("dossier.html")
    return page.render(
        report=document,
        audit=auditor.found,
        plan=state.plan,
        provider=provider,
        risks=risks(),
        changes=changes(),
        held=held,
        categories=sorted({one.ad.category for one in state.flights.values()}),
        segments=sum(len(one.parts) for one in state.flights.values()),
    )


def _formatted(found: Audit) -> str:
    shown = {**msgspec.to_builtins(found), "verdict": found.word}
    return msgspec.json.format(msgspec.json.encode(shown), indent=1).decode() + "\n"


def _packaged(name: str) -> bytes:
    return (files("ringwork.fairness") / name).read_bytes()
