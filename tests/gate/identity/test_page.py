"""The page about bots: its code runs, its output is the example's, its reasons are the code's."""

import io
import re
import runpy
import sys
from contextlib import redirect_stdout
from pathlib import Path

from ringwork.gate.identity import agents, keys, signatures

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "how-to" / "verify-bots.md").read_text()
TOLD = (ROOT / "docs" / "explanation" / "identity.md").read_text()


def test_every_piece_of_code_runs():
    pieces = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(pieces) == 5
    shown = io.StringIO()
    with redirect_stdout(shown):
        for piece in pieces:
            exec(compile(piece, "verify-bots.md", "exec"), {})
    assert "absent None no-signature" in shown.getvalue()
    assert shown.getvalue().endswith("verified\n")


def test_the_output_shown_is_the_examples(capsys):
    runpy.run_path(str(ROOT / "examples" / "verify_bots.py"), run_name="__main__")
    assert f"```text\n{capsys.readouterr().out}```" in PAGE


def test_every_reason_is_explained():
    texts = [Path(module.__file__).read_text() for module in (agents, keys, signatures)]
    found = set()
    for text in texts:
        found |= set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', text))
    found -= {
        "signature-agent", "signature-input", "content-digest", "no-signature", "web-bot-auth",
        "agent-keys-invalid",
    }  # fmt: skip
    assert len(found) > 15
    assert [one for one in sorted(found) if f"`{one}`" not in TOLD] == []


def test_heavy_libraries_are_imported_where_they_are_used():
    code = (
        "import sys, ringwork.gate.identity.agents, ringwork.gate.identity.bots, "
        "ringwork.gate.identity.robots; "
        "print([one for one in ('httpx', 'http_sf', 'http_message_signatures', 'ahocorasick', "
        "'crawleruseragents', 'protego', 'maxminddb') if one in sys.modules])"
    )
    import subprocess  # noqa: PLC0415

    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert told.stdout == "[]\n"
