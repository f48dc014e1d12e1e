#!/usr/bin/env bash
# Unpack Debian's prometheus and promtool into .tools/bin: alerts and dashboards are tested with them.
# Nothing is installed and no daemon is started; root is needed only where apt has no package lists.
# Where it can't be had this says so and goes on: the tests that need it are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

PROMETHEUS=2.42  # of Debian bookworm, with its security updates
STAMP=.tools/bin/.prometheus
TIMEOUT_SECONDS=300

say() { printf 'prometheus: %s\n' "$*"; }
without() { say "$*; going on without, its tests are skipped"; exit 0; }

if [ "$(cat "$STAMP" 2>/dev/null)" = "$PROMETHEUS" ]; then exit 0; fi
command -v apt-get >/dev/null || without "apt-get is missing"
mkdir -p .tools/bin
folder=$(mktemp -d .tools/prometheus.XXXXXX)
trap 'rm -rf "$folder"' EXIT
fetch() {
    (cd "$folder" && timeout "$TIMEOUT_SECONDS" apt-get download -qq "prometheus=$PROMETHEUS*") \
        </dev/null >"$folder/log" 2>&1
}
say "Debian's package $PROMETHEUS"
if ! fetch; then
    timeout "$TIMEOUT_SECONDS" apt-get update -qq </dev/null >/dev/null 2>&1 || true
    fetch || without "no package: $(tail -n 1 "$folder/log")"
fi
dpkg -x "$folder"/*.deb "$folder/root"
mv -f "$folder/root/usr/bin/prometheus" "$folder/root/usr/bin/promtool" .tools/bin/
.tools/bin/promtool --version >/dev/null || without "promtool does not run here"
echo "$PROMETHEUS" >"$STAMP"
say "prometheus and promtool in .tools/bin"
