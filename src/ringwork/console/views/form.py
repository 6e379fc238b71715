"""The page around a form."""

from __future__ import annotations

from ringwork.console.forms.body import FormBody
from ringwork.console.pages import Page, say


def form_page(
    body: FormBody,
    *,
    title: str,
    question: str,
    now_us: int,
    subject: str = "",
    entry: str = "",
    status: int = 200,
) -> Page:
    """The form's page; its answer says what is wrong, or who may send it."""
    wrong = len(body.wrong)
    if body.trouble:
        answer = body.trouble
    elif wrong:
        answer = f"Not sent: {wrong} {'entry needs' if wrong == 1 else 'entries need'} mending."
    else:
        answer = body.good or body.who
    return Page(
        name="form",
        title=title,
        subject=subject,
        entry=entry,
        question=question,
        answer=say(answer),
        now_us=now_us,
        body=body,
        status=status,
    )
