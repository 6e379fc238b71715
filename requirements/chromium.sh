#!/bin/sh
# The console is tested in a real Chromium: finds one on PATH, or installs Debian's as root, or says how.
set -eu
for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing Chromium for the console tests (once, about two minutes)"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
  exit 0
fi
echo "The console tests need Chromium on PATH. On Debian: sudo apt-get install -y chromium" >&2
exit 1
