"""Audiences: their rules in words, and which campaigns are for them or keep them out."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from msgspec import Struct

from ringwork.ads.model import Audience, AudienceRule
from ringwork.console.facts import AudienceFacts, AudiencesFacts, Use
from ringwork.console.format import count, plural, stamp
from ringwork.console.forms.texts import span_text
from ringwork.console.pages import Bold, Page, Sentence, say
from ringwork.console.views.history import ChangeRow, change_rows, changes_href
from ringwork.console.views.life import Step, item_href
from ringwork.console.views.matters import campaign_href

_DONE: Final = {
    "view": "viewed",
    "search": "searched for",
    "click": "clicked on",
    "save": "saved",
    "cart": "put into the cart",
    "purchase": "bought",
}
_STATES: Final = {"active": ("good", "live"), "archived": ("off", "archived")}


class UseRow(Struct, frozen=True):
    """A campaign that names an audience."""

    name: str
    href: str
    how: str
    """``for it``, or ``keeps it out``."""


class AudienceRow(Struct, frozen=True, kw_only=True):
    """An audience in a table."""

    id: str
    name: str
    href: str
    tag: str
    word: str
    rules: str
    uses: list[UseRow]
    use_count: int


class Audiences(Struct, frozen=True, kw_only=True):
    """The body of the list."""

    wanted: str
    rows: list[AudienceRow]
    next_href: str
    interests: int
    """Campaigns that name interests, which need no audience."""


class AudienceBody(Struct, frozen=True, kw_only=True):
    """The body of one audience's page."""

    path: str
    tag: str
    word: str
    match: str
    rules: list[str]
    uses: list[UseRow]
    use_count: int
    step: Step
    """Archives it, or takes it up again."""
    changes: list[ChangeRow]
    older_changes_href: str
    trouble: str


def rule_words(rule: AudienceRule) -> str:
    """A rule as people say it.

    >>> rule_words(AudienceRule(within_s=86400, kinds=["view", "cart"], topics=["483"], at_least=2))
    'viewed or put into the cart something about 483, at least 2 times in the last day'
    """
    done = _or([_DONE[kind] for kind in rule.kinds])
    done = f"{done} something" if done else "did anything"
    about = f" about {_or(rule.topics)}" if rule.topics else ""
    where = f" on {_or(rule.services)}" if rule.services else ""
    often = f", at least {plural(rule.at_least, 'time')}" if rule.at_least > 1 else ""
    return f"{done}{about}{where}{often} in the last {span_text(rule.within_s).removeprefix('1 ')}"


def _or(words: list[str]) -> str:
    return (
        words[0] if len(words) == 1 else ", ".join(words[:-1]) + f" or {words[-1]}" if words else ""
    )


def _all_rules(audience: Audience) -> str:
    joint = " and " if audience.match == "all" else ", or "
    return joint.join(map(rule_words, audience.rules))


def audiences(facts: AudiencesFacts, *, page: int = 1) -> Page:
    """The list from its facts."""
    return Page(
        name="audiences",
        title="Audiences",
        question="Whom are campaigns for, of the people who consented?",
        answer=_answer(facts),
        now_us=facts.now_us,
        body=Audiences(
            wanted=facts.wanted,
            rows=[_row(one.audience, one.uses, one.use_count) for one in facts.lines],
            next_href=_next_href(facts, page),
            interests=facts.interest_campaigns,
        ),
        notes=("nobody is in one without consent", f"as of {stamp(facts.now_us)}"),
    )


def _answer(facts: AudiencesFacts) -> Sentence:
    if not facts.count:
        return say("There is no audience yet: no campaign is for people by what they did.")
    live = plural(facts.live, "audience is live", "audiences are live")
    used = plural(facts.used, "of them is named by a campaign", "of them are named by campaigns")
    archived = facts.count - facts.live
    rest = f"; {count(archived)} archived." if archived else "."
    return say(Bold(f"{live}"), f", {used}{rest}")


def _next_href(facts: AudiencesFacts, page: int) -> str:
    if not facts.has_more:
        return ""
    query = urlencode({**({"q": facts.wanted} if facts.wanted else {}), "page": page + 1})
    return f"/console/audiences?{query}"


def _row(audience: Audience, uses: list[Use], use_count: int) -> AudienceRow:
    tag, word = _STATES[audience.status]
    return AudienceRow(
        id=audience.id,
        name=audience.name,
        href=item_href("audience", audience.id),
        tag=tag,
        word=word,
        rules=_all_rules(audience),
        uses=_uses(uses),
        use_count=use_count,
    )


def _uses(uses: list[Use]) -> list[UseRow]:
    return [
        UseRow(
            one.name, campaign_href(one.campaign_id), "keeps it out" if one.excludes else "for it"
        )
        for one in uses
    ]


def audience(facts: AudienceFacts, *, key: str, trouble: str = "", done: str = "") -> Page:
    """One audience; ``key`` is that of the form that archives it or takes it up again."""
    one = facts.line.audience
    tag, word = _STATES[one.status]
    is_live = one.status == "active"
    uses = facts.line.use_count
    named = plural(uses, "campaign names", "campaigns name") if uses else "no campaign names"
    return Page(
        name="audience",
        title="Audience",
        subject=one.id,
        question="Who is in it, and which campaigns name it?",
        answer=say(
            Bold(one.name),
            f" holds who {_all_rules(one)}; {named} it."
            if is_live
            else f" is archived: nobody is in it; {named} it.",
        ),
        now_us=facts.now_us,
        body=AudienceBody(
            path=item_href("audience", one.id),
            tag=tag,
            word=word,
            match="All of these" if one.match == "all" else "Any one of these",
            rules=[f"{text[:1].upper()}{text[1:]}" for text in map(rule_words, one.rules)],
            uses=_uses(facts.line.uses),
            use_count=uses,
            step=Step("archived", "Archive", f"{key}.archived")
            if is_live
            else Step("active", "Take up again", f"{key}.active"),
            changes=change_rows(facts.changes),
            older_changes_href=changes_href("audience", one.id, facts.older_changes),
            trouble=trouble,
        ),
        notes=(f"as of {stamp(facts.now_us)}",),
        done=done,
    )
