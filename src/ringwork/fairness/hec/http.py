"""Rules of special ads over HTTP: what they are, what stands against a campaign, what it tells.

Both questions change nothing: the same body again gives the same answer.
"""

from __future__ import annotations

from typing import Final

from litestar import get, post
from litestar.params import JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from ringwork.fairness.hec.questions import (
    CheckAnswer,
    CheckQuestion,
    RulesList,
    ScanAnswer,
    ScanQuestion,
    answer_check,
    answer_scan,
    rules_list,
)
from ringwork.fairness.hec.screen import SpecialAdScreen
from ringwork.web.auth import needs

TYPES: Final[tuple[type[Struct], ...]] = (
    CheckQuestion, CheckAnswer, ScanQuestion, ScanAnswer, RulesList,
)  # fmt: skip
_READ: Final = needs("catalogue:read")


def special_ad_routes(screen: SpecialAdScreen) -> list[ControllerRouterHandler]:
    """The handlers."""

    @get("/v1/fairness/rules", opt=_READ, sync_to_thread=False)
    def read_special_ad_rules() -> RulesList:
        """The rules of housing, employment and credit ads in force, and the text to certify."""
        return rules_list(screen)

    @post("/v1/fairness/check", opt=_READ, status_code=200, sync_to_thread=True)
    def check_special_ad(data: JSONBody[CheckQuestion]) -> CheckAnswer:
        """Say what the rules forbid of a campaign, and which of its ads are undeclared."""
        return answer_check(screen, data)

    @post("/v1/fairness/scan", opt=_READ, status_code=200, sync_to_thread=True)
    def scan_proxy_variables(data: JSONBody[ScanQuestion]) -> ScanAnswer:
        """Say how much a targeting, or the features of a ranking, tell about groups of people."""
        return answer_scan(screen.rules, data)

    return [read_special_ad_rules, check_special_ad, scan_proxy_variables]
