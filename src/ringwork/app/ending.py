"""How a process that holds a whole market in memory ends."""

from __future__ import annotations

import logging
import os
import sys
from typing import NoReturn


def end_at_once(code: int) -> NoReturn:
    """End the process when everything of it is stored and closed.

    Python would give the memory back object by object and look for cycles in it first: with 50,000
    ads that takes three seconds, in which nothing happens any more. The system takes it at once.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
