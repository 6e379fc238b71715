"""Bundle the IAB's page libraries for the consent tag: the same bytes each time.

``npm ci`` installs what ``consent-js/package-lock.json`` pins by hash, esbuild joins it, and the
vendor folder's README.md says what is in it. Nothing of this runs in a server or in the tests;
``--check`` bundles again and compares.

    python requirements/consent_js.py [--check]
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).parent / "consent-js"
VENDOR = Path(__file__).parent.parent / "src/ringwork/consent/choice/static/vendor"
LICENCE = "node_modules/@iabtcf/cmpapi/LICENSE"


def build(folder: Path) -> dict[str, bytes]:
    """The vendored files by name."""
    for name in ("package.json", "package-lock.json", "iab.js"):
        shutil.copy(HERE / name, folder / name)
    run = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(run, cwd=folder, check=True, stdout=sys.stderr)
    bundle = [
        "node_modules/.bin/esbuild", "iab.js", "--bundle", "--minify", "--format=iife",
        "--target=es2022", "--charset=utf8", "--legal-comments=inline", "--outfile=bundle.js",
        "--log-level=warning",
    ]  # fmt: skip
    subprocess.run(bundle, cwd=folder, check=True)
    stub = (folder / "node_modules/@iabtcf/stub/lib/stub.js").read_bytes()
    files = {
        "iab.js": (folder / "bundle.js").read_bytes(),
        "iab.LICENSE": (folder / LICENCE).read_bytes(),
        "tcf-stub.js": stub,
    }
    files["README.md"] = readme(folder, files).encode()
    return files


def readme(folder: Path, files: dict[str, bytes]) -> str:
    """What is vendored, from where, under which licence, with which hashes."""
    packages = json.loads((folder / "package-lock.json").read_text())["packages"]
    rows = [
        f"| {path.removeprefix('node_modules/')} | {one['version']} | {one['license']} | "
        f"`{one['integrity']}` |"
        for path, one in sorted(packages.items())
        if path.startswith("node_modules/@iab") or path == "node_modules/esbuild"
    ]
    hashes = [
        f"| `{name}` | `{sha256(data).hexdigest()}` |" for name, data in sorted(files.items())
    ]
    entry = sha256((folder / "iab.js").read_bytes()).hexdigest()
    return "\n".join(
        [
            "# Vendored files",
            "",
            "Written by `python requirements/consent_js.py`, from npm packages that",
            "`requirements/consent-js/package-lock.json` pins; never edited by hand. `iab.js`",
            "joins @iabtcf/cmpapi (with @iabtcf/core) and @iabgpp/cmpapi behind",
            f"`requirements/consent-js/iab.js` (SHA-256 `{entry}`);",
            "`tcf-stub.js` is the file of @iabtcf/stub unchanged. All three are under the Apache",
            "License 2.0, `iab.LICENSE`.",
            "",
            "| package | version | licence | integrity |",
            "|---|---|---|---|",
            *rows,
            "",
            "esbuild only joins them; nothing of it is in the bundle.",
            "",
            "| file | SHA-256 |",
            "|---|---|",
            *hashes,
            "",
        ]
    )


def main() -> int:
    """Write the vendored files, or compare them."""
    with tempfile.TemporaryDirectory() as folder:
        files = build(Path(folder))
    if "--check" in sys.argv[1:]:
        wrong = [
            name
            for name, data in files.items()
            if not (VENDOR / name).exists() or (VENDOR / name).read_bytes() != data
        ]
        print("differs: " + ", ".join(wrong) if wrong else "as committed")
        return 1 if wrong else 0
    VENDOR.mkdir(exist_ok=True)
    for name, data in files.items():
        (VENDOR / name).write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
