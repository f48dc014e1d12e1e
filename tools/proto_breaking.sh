#!/usr/bin/env bash
# Fail when protos/ breaks callers of the last release (protos/released.binpb) or of the commit before.
# Comparing with a branch would compare a clean clone with itself.
set -euo pipefail
cd "$(dirname "$0")/.."

BUF=$PWD/.venv/bin/buf
RELEASED=protos/released.binpb

say() { printf 'buf breaking: %s\n' "$*"; }

# Build the protos of a commit as one image, with the third-party protos of this installation.
image_of() {
    local commit=$1 folder=$2
    mkdir -p "$folder/gen"
    git archive "$commit" protos buf.yaml | tar -x -C "$folder"
    cp -r gen/third_party "$folder/gen/third_party"
    (cd "$folder" && "$BUF" build protos -o before.binpb)
}

if [ -f "$RELEASED" ]; then
    "$BUF" breaking protos --against "$RELEASED"
    say "compatible with the last release"
else
    say "skipped the last release: there is none yet"
fi

if ! git rev-parse --quiet --verify HEAD~1 >/dev/null; then
    say "skipped the commit before: there is none in this clone"
elif ! git cat-file -e HEAD~1:buf.yaml 2>/dev/null || ! git cat-file -e HEAD~1:protos 2>/dev/null; then
    say "skipped the commit before: it has no protos"
else
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    image_of HEAD~1 "$scratch"
    "$BUF" breaking protos --against "$scratch/before.binpb"
    say "compatible with the commit before"
fi
