"""A server process for test_withdrawal.py: killed when a withdrawal is durable and not yet bumped."""

import os
import signal
import sys
from pathlib import Path

from ringwork.consent import epochs
from tests.app.served import Client, serve
from tests.consent.test_ledger_http import body, may_advertise, post


async def scenario(client: Client) -> None:
    await post(client, body("grant", "advertise", person="anna"))
    assert may_advertise(client, "anna")

    def die(self: object, place: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    epochs.Epochs.bump = die
    await post(client, body("withdraw", "advertise", person="anna"))


serve(Path(sys.argv[1]), scenario)
