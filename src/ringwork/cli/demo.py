"""``ringwork demo``."""

from __future__ import annotations

import os

from ringwork.cli.options import DEFAULTS, Options


def demo(
    *,
    seed: int = 7,
    port: int | None = None,
    until_world_hours: float | None = None,
    options: Options = DEFAULTS,
) -> None:
    """Start the platform with a simulated world on it, and open the console.

    A day passes in about four minutes, then time is real. Ctrl-C stops; the next start goes on
    from there.

    Example: ringwork demo --data ./ringwork-data --seed 7

    Parameters
    ----------
    seed:
        The same seed gives the same requests.
    port:
        TCP port.
    until_world_hours:
        Stop after so many hours of the world's time.
    """
    flags = {} if port is None else {"http.port": port}
    settings = options.settings(flags)
    from ringwork.world.demo import run  # noqa: PLC0415  # the world's weight, only for a demo

    passed_on = {"RINGWORK_CONFIG": options.config} if options.config else {}
    run(
        data=settings.data_path,
        seed=seed,
        port=settings.http.port,
        until_world_hours=until_world_hours,
        environment={**dict(os.environ), **passed_on},
    )
