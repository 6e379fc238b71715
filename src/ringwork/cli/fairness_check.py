"""``ringwork fairness check``, ``scan`` and ``detector``: special ads before they run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from msgspec import Struct

from ringwork.cli.options import DEFAULTS, Options
from ringwork.kernel.errors import RingworkError

if TYPE_CHECKING:
    from ringwork.fairness.hec.questions import CheckAnswer
    from ringwork.fairness.hec.scan import Pair, Scanned
    from ringwork.fairness.hec.screen import SpecialAdScreen

FOUND: Final = 1
FILE_MAX_BYTES: Final = 64 * 1024 * 1024
_Asked = TypeVar("_Asked", bound=Struct)


def check(campaign: Path, /, *, options: Options = DEFAULTS) -> int:
    """List what the rules of housing, employment and credit ads forbid of a campaign.

    The file holds a campaign as POST /v1/campaigns takes it; ``ads`` may list what its ads say
    ({"id", "text", "landing_title", "categories"}), to find categories that were not declared.
    Needs neither a server nor a data directory. Ends with 1 where something is forbidden or
    undeclared, with 0 where nothing is. No legal advice.

    Example: ringwork fairness check campaign.json

    Parameters
    ----------
    campaign
        A JSON file.
    """
    from ringwork.fairness.hec.questions import CheckQuestion, answer_check  # noqa: PLC0415

    answer = answer_check(_screen(options), _asked(campaign, CheckQuestion))
    if options.json:
        options.show(answer, "")
    else:
        _tell_check(answer, options)
    return 0 if answer.is_clear else FOUND


def scan(targeting: Path, /, *, options: Options = DEFAULTS) -> int:
    """Say how much a targeting tells about protected groups, from tables of clusters.

    The file holds what POST /v1/fairness/scan takes: attribute, groups, counts [groups, clusters],
    confusion where a proxy measured them, and clauses (name: share of every cluster), features
    too. Lifts below 0.8 and above 1.25 are flagged. Ends with 1 where one is, with 0 where none is.

    Example: ringwork fairness scan targeting.json

    Parameters
    ----------
    targeting
        A JSON file.
    """
    from ringwork.fairness.hec.questions import ScanQuestion, answer_scan  # noqa: PLC0415

    answer = answer_scan(_screen(options).rules, _asked(targeting, ScanQuestion))
    if options.json:
        options.show(answer, "")
        return FOUND if answer.is_flagged else 0
    told = answer.targeting
    rows = [_row("all clauses", told.whole, told.whole.clauses)]
    rows += [_row("alone", one, one.clauses) for one in told.alone]
    rows += [
        _row("without", one, (name,))
        for one, name in zip(told.without, told.whole.clauses, strict=True)
    ]
    rows += [_row("pair", one, one.clauses) for one in told.pairs]
    for feature in answer.features:
        rows += [_row("feature", one, one.clauses) for one in feature.values]
    measured = "measured by a proxy" if told.is_estimated else "as people said"
    options.table(rows, _SCAN_COLUMNS, title=f"What it tells about {told.attribute}, {measured}")
    for place, why in answer.without_race_proxy.items():
        sys.stdout.write(f"{place}: no proxy for race and ethnicity: {why}.\n")
    return FOUND if answer.is_flagged else 0


def detector(
    examples: Path | None = None,
    /,
    *,
    write: Path | None = None,
    options: Options = DEFAULTS,
) -> int:
    """Train the detector of undeclared special ads and judge it on examples held out.

    Without a file the packaged examples are taken; with --write the weights, trained from all of
    them, are written, the same bytes on every machine.

    Example: ringwork fairness detector --write weights.msgpack

    Parameters
    ----------
    examples
        Tab-separated: labels (HOUSING, EMPLOYMENT, CREDIT with commas between, or none), text,
        landing_title, category.
    write
        A file for the weights.
    """
    from ringwork.fairness.hec.detect import CATEGORIES, Detector  # noqa: PLC0415
    from ringwork.fairness.hec.train import (  # noqa: PLC0415
        judge,
        packaged_examples,
        packaged_version,
        parse_examples,
        train,
    )

    told = parse_examples(packaged_examples() if examples is None else _bytes(examples))
    rules = _screen(options).rules[0]
    thresholds = [rules.detection.thresholds_ppm[one] for one in CATEGORIES]
    seen = [one for one in told if not one.is_held_out]
    unseen = [one for one in told if one.is_held_out]
    judged = judge(Detector(train(seen)), unseen, thresholds)
    rows = [
        {
            **msgspec.to_builtins(one),
            "precision": round(one.precision, 3),
            "recall": round(one.recall, 3),
        }
        for one in judged
    ]
    options.table(
        rows,
        {
            "category": "Category", "positives": "Held out", "found": "Found", "wrong": "Wrong",
            "precision": "Precision", "recall": "Recall",
        },
        title=f"{len(seen)} examples learned, {len(unseen)} held out",
    )  # fmt: skip
    if write is not None:
        version = packaged_version() if examples is None else "own"
        write.write_bytes(msgspec.msgpack.encode(train(told, version=version)))
    return 0


_SCAN_COLUMNS: Final = {
    "kind": "Selection", "clauses": "Clauses", "share": "Share", "distance": "Distance",
    "information": "Information", "lifts": "Lifts", "flag": "Flag",
}  # fmt: skip


def _screen(options: Options) -> SpecialAdScreen:
    """By the rules of the settings; where those name none, by all there are."""
    from ringwork.fairness.hec.rules import PRESETS  # noqa: PLC0415
    from ringwork.fairness.hec.screen import SpecialAdScreen  # noqa: PLC0415

    return SpecialAdScreen.of(options.settings().special_ads.rules or PRESETS)


def _asked(path: Path, kind: type[_Asked]) -> _Asked:
    try:
        return msgspec.json.decode(_bytes(path), type=kind)
    except msgspec.DecodeError as error:
        raise RingworkError(f"{path}: {error}") from None


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            found = file.read(FILE_MAX_BYTES + 1)
    except OSError as error:
        raise RingworkError(f"{path}: cannot be read: {error.strerror}") from None
    if len(found) > FILE_MAX_BYTES:
        raise RingworkError(f"{path}: expected at most {FILE_MAX_BYTES} bytes")
    return found


def _tell_check(answer: CheckAnswer, options: Options) -> None:
    for one in answer.suspected:
        for suspicion in one.suspicions:
            sys.stdout.write(
                f"ad {one.ad or '-'}: seems to be for {suspicion.category} and is not declared: "
                f"score {suspicion.score_ppm / 1e6:.2f}, threshold "
                f"{suspicion.threshold_ppm / 1e6:.2f}; {', '.join(suspicion.features)}\n"
            )
    if answer.violations:
        rows: list[dict[str, Any]] = [msgspec.to_builtins(one) for one in answer.violations]
        columns = {
            "pointer": "Field", "rule": "Rule", "found": "Found", "allowed": "Allowed",
            "replacement": "Instead",
        }  # fmt: skip
        options.table(rows, columns, title="Forbidden")
        proposal = msgspec.json.encode(answer.proposal).decode()
        sys.stdout.write(f"The nearest lawful targeting: {proposal}\n")
    elif not answer.suspected:
        by = ", ".join(answer.rules) or "no rules, since none are kept for where it may show"
        sys.stdout.write(f"Nothing is forbidden, by {by}.\n")


def _row(kind: str, one: Scanned, clauses: tuple[str, ...]) -> dict[str, object]:
    lifts = [
        f"{each.group} {_pair(each.lift)}{' !' if each.is_flagged else ''}" for each in one.lifts
    ]
    flag = "!" if one.is_flagged else "" if one.is_enough else "too few people"
    return {
        "kind": kind,
        "clauses": ", ".join(clauses),
        "share": f"{one.share:.1%}",
        "distance": _pair(one.distance),
        "information": _pair(one.information),
        "lifts": "; ".join(lifts),
        "flag": flag,
    }


def _pair(pair: Pair) -> str:
    """Proxy to de-attenuated, always both."""
    if pair.deattenuated is None:
        return f"{pair.proxy:.3f} to ?"
    if pair.deattenuated == pair.proxy:
        return f"{pair.proxy:.3f}"
    return f"{pair.proxy:.3f} to {pair.deattenuated:.3f}"
