"""The chart, for each set of values that it brings, before the programs that judge charts."""

from pathlib import Path

import pytest

from tests.deploy.chart import CHART, ROOT, SETS, TOOLS, objects, of, run, template, text, tool
from tests.deploy.chart import values as values_of

ALL = (*SETS, "options")
COMPONENTS = {"wallet", "ledger", "notify", "relay", "edge", "envoy"}
SCHEMAS = TOOLS / "kube-schemas"
OTHERS = "Certificate,ExternalSecret,HTTPRoute,PrometheusRule,ServiceMonitor"
"""Kinds that the cluster gets from somebody else: their schemas are not Kubernetes' own."""


def written(tmp_path: Path, name: str) -> str:
    """Write what a set of values renders, and return the file's path."""
    path = tmp_path / f"{name}.yaml"
    path.write_text(text(name), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", ALL)
def test_helm_finds_nothing_to_say(name: str) -> None:
    """A warning is a failure."""
    done = run(tool("bin/helm"), "lint", "--strict", str(CHART), "--values", str(values_of(name)))
    assert done.returncode == 0, done.stdout


def test_the_defaults_alone_can_be_installed() -> None:
    """Who sets nothing but makes the secrets has a suite."""
    done = template()
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ALL)
def test_each_process_has_what_it_needs(name: str) -> None:
    """A workload, an account, a budget, a policy and a service each; all but the relay scale."""
    for kind in ("Deployment", "PodDisruptionBudget"):
        assert of(name, kind).keys() == COMPONENTS
    for kind in ("Service", "ServiceAccount", "NetworkPolicy"):
        assert of(name, kind).keys() >= COMPONENTS
    assert of(name, "HorizontalPodAutoscaler").keys() == COMPONENTS - {"relay"}
    assert of(name, "Job").keys() == {"migrate"}
    assert of(name, "CronJob").keys() == {"verify"}
    assert of(name, "NetworkPolicy").keys() == COMPONENTS | {"migrate", "test", "verify"}


def test_options_render_what_they_name() -> None:
    """Each kind of the options is there, and none of them without being asked for."""
    asked = {"Certificate", "ExternalSecret", "HTTPRoute", "Ingress", "ServiceMonitor"}
    assert asked <= {one["kind"] for one in objects("options")}
    assert not asked & {one["kind"] for one in objects("small")}


@pytest.mark.parametrize("name", ALL)
def test_the_api_server_knows_every_field(name: str, tmp_path: Path) -> None:
    """Kinds, fields and types are those of Kubernetes."""
    schemas = f"{SCHEMAS}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json"
    kubeconform = (tool("bin/kubeconform"), "-strict", "-skip", OTHERS, "-schema-location", schemas)
    done = run(*kubeconform, written(tmp_path, name))
    assert done.returncode == 0, done.stdout
    broken = tmp_path / "broken.yaml"
    broken.write_text(text(name).replace("minReadySeconds", "minReadySecond"), encoding="utf-8")
    assert run(*kubeconform, str(broken)).returncode == 1


@pytest.mark.parametrize("name", SETS)
def test_kube_score_has_nothing_critical(name: str, tmp_path: Path) -> None:
    """Of one replica, as in the small set, it only warns."""
    kube_score = (tool("bin/kube-score"), "score", "--kubernetes-version", "v1.34")
    done = run(*kube_score, written(tmp_path, name))
    assert done.returncode == 0, done.stdout


def test_checkov_finds_no_weakness(tmp_path: Path) -> None:
    """Neither in what the sets render nor in the Dockerfile; exceptions say their reason."""
    for name in SETS:
        written(tmp_path, name)
    dockerfile = ROOT / "deploy/docker/Dockerfile"
    (tmp_path / "Dockerfile").write_bytes(dockerfile.read_bytes())
    checkov = (tool("checkov/bin/checkov"), "--directory", str(tmp_path), "--skip-download")
    frameworks = ("--framework", "kubernetes", "dockerfile", "--compact", "--quiet")
    done = run(*checkov, *frameworks)
    assert done.returncode == 0, done.stdout
    assert "Failed checks: 0" in done.stdout


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ("databases.shards=0", "shards"),
        ("databases.shard=2", "shard"),
        ("components.wallet.env.LEDGER_LISTEN=x", "LEDGER_LISTEN"),
        ("components.walet.replicas=2", "walet"),
        ("defaults.autoscaling.targetCPUUtilizationPercentage=101", "101"),
        ("defaults.logLevel=LOUD", "logLevel"),
        ("image.digest=latest", "digest"),
        ("front.service.type=ExternalName", "type"),
        ("networkPolicy.dataBlocks[0]=anywhere", "dataBlocks"),
        ("alerts.rules.HighLatency.treshold=1", "treshold"),
        ("verify.schedule=daily", "schedule"),
        ("verify.existingSecret=", "existingSecret"),
        ("databases.replicas=2", "replicas"),
    ],
)
def test_the_schema_refuses_a_wrong_value(wrong: str, named: str) -> None:
    """A misspelled or impossible value is named before anything is installed."""
    done = template("--set", wrong)
    assert done.returncode != 0
    assert named in done.stderr


@pytest.mark.parametrize(
    ("together", "said"),
    [
        ("tls.enabled=false", "components.edge needs tls.enabled"),
        ("tls.enabled=false,components.edge.enabled=false", "need a way to know each other"),
        ("gateway.enabled=true", "needs gateway.parentRefs"),
        ("alerts.enabled=true,alerts.rules.Nothing.threshold=1", "no such alert"),
    ],
)
def test_values_that_cannot_work_together_are_refused(together: str, said: str) -> None:
    """Each by itself may be right."""
    done = template("--set", together)
    assert done.returncode != 0
    assert said in done.stderr


def test_without_edge_nothing_of_it_is_left() -> None:
    """Who has no API keys runs no edge, and Envoy asks nobody."""
    tokens = "tls.enabled=false,auth.serviceAccountTokens.enabled=true"
    done = template("--set", f"components.edge.enabled=false,{tokens}")
    assert done.returncode == 0, done.stderr
    assert "name: EDGE_" not in done.stdout
    assert "FRONT_EDGE" not in done.stdout
    assert "name: demo-guilder-edge" not in done.stdout
