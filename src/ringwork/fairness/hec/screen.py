"""The ``kernel.screening.Screen`` of this part: rules of some jurisdictions, and the detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ringwork.fairness.hec.check import check
from ringwork.fairness.hec.detect import Detector, packaged
from ringwork.fairness.hec.rules import Rules, preset
from ringwork.kernel.screening import AdContent, Checked, Suspicion


class SpecialAdScreen:
    """Checks by all of its rules that hold where an ad may show."""

    def __init__(self, rules: Sequence[Rules], detector: Detector) -> None:
        """ValueError without rules."""
        if not rules:
            raise ValueError("expected the rules of one jurisdiction at least")
        self.rules = tuple(rules)
        self.detector = detector

    @classmethod
    def of(cls, names: Sequence[str]) -> SpecialAdScreen:
        """With packaged rules, by name, and the packaged detector. Refused: rules-invalid."""
        return cls([preset(one) for one in names], packaged())

    @property
    def certification(self) -> str:
        """The versions of the texts of all jurisdictions: one campaign may show in each."""
        return "+".join(one.certification.version for one in self.rules)

    @property
    def certification_text(self) -> str:
        """The texts of all jurisdictions."""
        return " ".join(
            f"{one.jurisdiction}: {one.certification.text.strip()}" for one in self.rules
        )

    def check(
        self, targeting: Mapping[str, Any], *, audience_topics: Mapping[str, Sequence[str]]
    ) -> Checked:
        """See ``check.check``."""
        return check(self.rules, targeting, audience_topics=audience_topics)

    def suspect(self, content: AdContent) -> tuple[Suspicion, ...]:
        """See ``Detector.suspect``."""
        return self.detector.suspect(content, self.rules)
