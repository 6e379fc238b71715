"""A process that ends at once has said everything, and gives nothing back piece by piece."""

import subprocess
import sys

import pytest

SCRIPT = """
import logging, sys
from ringwork.app.ending import end_at_once

class Never:
    def __del__(self):
        print("taken apart")

kept = Never()
logging.basicConfig(stream=sys.stderr)
print("said", end="")
logging.warning("logged")
end_at_once({code})
"""


@pytest.mark.parametrize("code", [0, 130])
def test_what_was_said_arrives_and_nothing_is_taken_apart(code):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(code=code)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (code, "said")
    assert "logged" in done.stderr
