"""The auction market simulator: many auctions of many bidders, for forecasts, tests and theory.

Float money throughout, because nothing here is ever charged: the auction that bills is
``ringwork.ads.auction``, in integers. ``clear_batch`` clears auctions, ``Market`` plays bidders
with strategies and budgets against each other, ``outcome_curve`` and ``delivery`` say what a bid
wins where the prices to beat are known. A process that answers requests calls ``warm`` at its
start.
"""

from ringwork.ads.market.kernel import clear_batch, warm
from ringwork.ads.market.market import Bidder, Market, Result
from ringwork.ads.market.outlook import Delivery, Outcome, delivery, outcome_curve
from ringwork.ads.market.strategies import (
    EquilibriumShade,
    Paced,
    Seen,
    ShadeLearner,
    Strategy,
    TargetReturn,
    Truthful,
)
from ringwork.ads.market.values import LogNormal, Uniform, Values

__all__ = [
    "Bidder",
    "Delivery",
    "EquilibriumShade",
    "LogNormal",
    "Market",
    "Outcome",
    "Paced",
    "Result",
    "Seen",
    "ShadeLearner",
    "Strategy",
    "TargetReturn",
    "Truthful",
    "Uniform",
    "Values",
    "clear_batch",
    "delivery",
    "outcome_curve",
    "warm",
]
