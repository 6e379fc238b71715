"""What tells people from programs, and where requests come from, as the settings say."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ringwork.ads.traffic import Networks, TrafficFilter, TrafficSettings
from ringwork.app.geo_file import GeoFile
from ringwork.kernel.errors import ConfigurationError
from ringwork.kernel.ports import Entropy

_KEY_BYTES = 32


def networks(listed: Iterable[str], setting: str) -> Networks:
    """A set of networks; ConfigurationError names the setting of a wrong one."""
    try:
        return Networks(listed)
    except ValueError as error:
        raise ConfigurationError(f"{setting}: {error}") from error


def traffic_filter(settings: TrafficSettings, entropy: Entropy) -> TrafficFilter:
    """The filter, with a key of its own; ConfigurationError for a list that cannot be read."""
    listed = Networks([])
    if settings.data_centre_file:
        path = Path(settings.data_centre_file)
        try:
            listed = Networks.read(path.read_text())
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"ads.traffic.data_centre_file: {path}: {error}") from error
    return TrafficFilter(key=entropy.take(_KEY_BYTES), settings=settings, data_centres=listed)


def geo_file(path: str) -> GeoFile | None:
    """The file of regions, where one is set."""
    return GeoFile(Path(path)) if path else None
