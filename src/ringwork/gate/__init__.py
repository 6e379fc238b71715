"""Anti-scraping: what anybody may ask, and what anybody may learn.

    from ringwork.gate import Facts, Gate, Policy, Usage

    gate = Gate(Policy.load("gate.yaml"), clock=clock, entropy=entropy)
    decision = gate.admit(Facts.of(account="ann", ip="192.0.2.1", path="/p/1"))
    gate.settle(decision, Usage(rows=20, entities=profiles))

Contacts, logs, agents and the simulator are used by their own packages: ``gate.contacts``,
``gate.analyse``, ``gate.identity``, ``gate.sim``.
"""

from ringwork.gate.decision import Decision
from ringwork.gate.facts import Facts, Usage
from ringwork.gate.gate import Gate
from ringwork.gate.policy.model import Policy

__all__ = ["Decision", "Facts", "Gate", "Policy", "Usage"]
