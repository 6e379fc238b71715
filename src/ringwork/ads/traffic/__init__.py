"""Invalid traffic, found before it is billed, and what a request's agent is."""

from ringwork.ads.traffic.agents import Agent, Hints, read_agent, read_structured
from ringwork.ads.traffic.filter import TrafficFilter
from ringwork.ads.traffic.networks import Networks
from ringwork.ads.traffic.rules import Reason, TrafficSettings
from ringwork.ads.traffic.sender import Sender, hints_of, sender_of

__all__ = [
    "Agent",
    "Hints",
    "Networks",
    "Reason",
    "Sender",
    "TrafficFilter",
    "TrafficSettings",
    "hints_of",
    "read_agent",
    "read_structured",
    "sender_of",
]
