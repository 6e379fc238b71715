"""Creatives as advertisers send them: what is wrong with one, and how it is shown."""

from ringwork.ads.creatives.check import check_creative, content_changed
from ringwork.ads.creatives.findings import Finding, faults_of
from ringwork.ads.creatives.frames import Frame, frame_of, is_scripted, passback

__all__ = [
    "Finding",
    "Frame",
    "check_creative",
    "content_changed",
    "faults_of",
    "frame_of",
    "is_scripted",
    "passback",
]
