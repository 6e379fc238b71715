"""The form of an audience; its rules are lines that read as English."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ringwork.console.forms import texts
from ringwork.console.forms.campaign import ID
from ringwork.console.forms.members import Group, Member, options
from ringwork.console.forms.texts import Codec, Value, span_of, span_text
from ringwork.kernel.history import DEEDS

EXAMPLE: Final = "at least 2; doing view, cart; about 483; on shop; within 30 days"
_LISTS: Final = {"doing": "kinds", "about": "topics", "on": "services"}
_MATCHES: Final = options(("all", "all of the rules"), ("any", "any one of the rules"))


def rule_text(rule: dict[str, Any]) -> str:
    """A rule as it is typed; parts that restrict nothing are left out.

    >>> rule_text({"within_s": 86400, "topics": ["483"], "kinds": [], "services": []})
    'about 483; within 1 day'
    """
    parts = [f"at least {rule['at_least']}"] if rule.get("at_least", 1) != 1 else []
    parts += [f"{word} {', '.join(rule[of])}" for word, of in _LISTS.items() if rule.get(of)]
    return "; ".join([*parts, f"within {span_text(rule['within_s'])}"])


def rule_of(line: str) -> dict[str, Any]:
    """The rule that a line says, in any order of its parts. Raises ValueError."""
    rule: dict[str, Any] = {}
    for part in filter(None, (" ".join(each.split()) for each in line.split(";"))):
        name, value = _part(part)
        if name in rule:
            raise ValueError(f"each part once in a rule, got {part[:40]!r} again in {line[:60]!r}")
        rule[name] = value
    if "within_s" not in rule:
        raise ValueError(f"a rule says within what time, as within 30 days, got {line[:60]!r}")
    return rule


def _part(part: str) -> tuple[str, Value]:
    word, _, rest = part.partition(" ")
    if word in _LISTS:
        said = [each.strip() for each in rest.split(",") if each.strip()]
        unknown = [each for each in said if word == "doing" and each not in DEEDS]
        if unknown:
            raise ValueError(
                f"doing one of {', '.join(DEEDS)} is expected, got {unknown[0][:40]!r}"
            )
        if said:
            return _LISTS[word], said
    seconds = span_of(rest) if word == "within" else None
    if seconds is not None:
        return "within_s", seconds
    number = part.removeprefix("at least ")
    if number != part and number.isascii() and number.isdigit() and len(number) <= 9:
        return "at_least", int(number)
    raise ValueError(f"one rule a line is expected, as {EXAMPLE}, got {part[:60]!r}")


def _read(typed: Sequence[str]) -> list[Value]:
    return [rule_of(line) for text in typed for line in text.splitlines() if line.strip()]


RULES: Final = Codec(lambda value: ["\n".join(map(rule_text, value))], _read)


def audience_groups(*, is_new: bool) -> tuple[Group, ...]:
    """The members, of a new audience or those that can be changed of one that exists."""
    named = [
        Member(
            pointer="/name", label="Name", size=40, is_needed=True, expected="1 to 200 characters",
            hint="As the people who plan campaigns read it.",
        )
    ]  # fmt: skip
    if is_new:
        named.append(
            Member(
                pointer="/id", label="Id", size=24, is_needed=True, expected=ID,
                hint="Campaigns name it in their targeting. It stays.",
            )
        )  # fmt: skip
    rules = (
        Member(
            pointer="/rules", label="Rules", kind="area", codec=RULES, size=6, is_needed=True,
            hint=f"One a line, as {EXAMPLE}. Only within is needed; what is left out means any. "
            f"Done can be {', '.join(DEEDS)}.",
        ),
        Member(
            pointer="/match", label="Who is in it meets", kind="select", options=_MATCHES,
            codec=texts.TEXT,
        ),
    )  # fmt: skip
    return (
        Group(title="What it is", members=tuple(named)),
        Group(
            title="Who is in it",
            members=rules,
            lede="Found out anew for every request, from what the person did on services that the "
            "person's consent names. Without consent nobody is in any audience.",
        ),
    )
