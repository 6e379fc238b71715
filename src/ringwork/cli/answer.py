"""The platform's answer to a command: its body, or the error that it stands for."""

from __future__ import annotations

from typing import Any

import msgspec

from ringwork.app.call import Reply
from ringwork.kernel.errors import Busy, Refused, RingworkError, StorageFull


def answer_of(reply: Reply) -> Any:
    """The body of a successful answer.

    Raises Refused with the problem's detail and faults, StorageFull, Busy when the server cannot
    answer now, RingworkError when it failed.
    """
    if reply.status < 400:
        return reply.json
    try:
        problem = msgspec.json.decode(reply.body, type=dict[str, Any])
    except msgspec.DecodeError:
        problem = {}
    slug = str(problem.get("type", "")).rpartition(":")[2] or "refused"
    lines = [str(problem.get("detail") or problem.get("title") or f"status {reply.status}")]
    lines += [f"  {one.get('pointer')}: {one.get('detail')}" for one in problem.get("errors", [])]
    detail = "\n".join(lines)
    if slug == "storage-full":
        raise StorageFull(detail)
    if reply.status == 503:
        raise Busy(detail)
    if reply.status >= 500:
        raise RingworkError(f"the server failed: {detail}; its log says why")
    raise Refused(slug, detail, status=reply.status)
