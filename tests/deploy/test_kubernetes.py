"""The manifests are valid, consistent with each other and the server, and request no privileges."""

import itertools
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import tyro
import yaml

from server.app import SERVICE_NAME
from server.settings import ServerSettings

FOLDER = Path(__file__).resolve().parent.parent.parent / "deploy/kubernetes"
LABELS = {"app.kubernetes.io/name": "aisle"}
MANIFESTS = sorted(path for path in (FOLDER / "base").glob("*.yaml") if path.name != "kustomization.yaml")


def load(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())


def base(kind: str) -> dict[str, Any]:
    return load(FOLDER / "base" / f"{kind}.yaml")


@pytest.fixture
def pod() -> dict[str, Any]:
    return base("deployment")["spec"]["template"]["spec"]


@pytest.fixture
def container(pod: dict[str, Any]) -> dict[str, Any]:
    [container] = pod["containers"]
    return container


def flags(container: dict[str, Any]) -> ServerSettings:
    """Return the settings of a container's arguments."""
    return tyro.cli(ServerSettings, args=container["args"])


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_each_manifest_follows_the_schema_of_its_kind(path: Path):
    kubernetes_validate.validate(load(path), "1.34", strict=True)
    assert load(path)["kind"].lower() == path.stem


def test_kustomize_lists_every_manifest():
    assert load(FOLDER / "base/kustomization.yaml")["resources"] == [path.name for path in MANIFESTS]


def rendered(variant: str) -> dict[str, dict[str, Any]]:
    """The manifests by kind as `kubectl apply -k` would send them."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run(["kubectl", "kustomize", str(FOLDER / variant)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    made = {manifest["kind"]: manifest for manifest in yaml.safe_load_all(done.stdout)}
    assert len(made) == len(MANIFESTS)
    return made


def test_the_variant_with_tls_is_valid_after_the_merge():
    made = rendered("tls")
    for manifest in made.values():
        kubernetes_validate.validate(manifest, "1.34", strict=True)
    [container] = made["Deployment"]["spec"]["template"]["spec"]["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert "exec" in container[probe]
        assert "grpc" not in container[probe]


def is_admitted(policy: dict[str, Any], labels: dict[str, str], same_namespace: bool, port: str) -> bool:
    """Return True if a pod with these labels may reach a port; the policy selects by labels alone."""
    for rule in policy["spec"]["ingress"]:
        for peer in rule["from"]:
            assert set(peer) <= {"podSelector", "namespaceSelector"}
            assert peer.get("namespaceSelector", {}) == {}
            is_near = same_namespace or "namespaceSelector" in peer
            wanted = peer["podSelector"]["matchLabels"].items()
            if is_near and wanted <= labels.items() and {"port": port} in rule["ports"]:
                return True
    return False


@pytest.mark.parametrize("variant", ["base", "tls"])
def test_those_get_in_whom_the_readme_names(variant: str):
    """Kustomize's `includeSelectors` rewrites whom a network policy lets in."""
    policy = rendered(variant)["NetworkPolicy"]
    caller, scraper = {"aisle-client": "true", "app": "shop"}, {"app.kubernetes.io/name": "prometheus"}
    assert is_admitted(policy, caller, same_namespace=True, port="grpc")
    assert is_admitted(policy, scraper, same_namespace=False, port="metrics")
    assert not is_admitted(policy, caller, same_namespace=False, port="grpc")
    assert not is_admitted(policy, {"app": "shop"}, same_namespace=True, port="grpc")
    assert not is_admitted(policy, caller, same_namespace=True, port="metrics")
    assert not is_admitted(policy, scraper, same_namespace=True, port="grpc")


@pytest.mark.parametrize("variant", ["base", "tls"])
def test_every_selector_finds_the_pods_that_are_made(variant: str):
    made = rendered(variant)
    pods = made["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for selector in (
        made["Deployment"]["spec"]["selector"]["matchLabels"],
        made["Service"]["spec"]["selector"],
        made["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        made["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= pods.items()


def test_labels_are_added_to_no_selector():
    """The same as `test_those_get_in_whom_the_readme_names`, for machines without kubectl."""
    for entry in load(FOLDER / "base/kustomization.yaml")["labels"]:
        assert "includeSelectors" not in entry
    policy = base("networkpolicy")
    assert is_admitted(policy, {"aisle-client": "true"}, same_namespace=True, port="grpc")


def test_the_variant_with_tls_changes_the_security_flags_alone(container: dict[str, Any]):
    [secured] = load(FOLDER / "tls/deployment.yaml")["spec"]["template"]["spec"]["containers"]
    plain, settings = flags(container), flags(secured)
    changed = {name for name, value in vars(settings).items() if value != getattr(plain, name)}
    assert changed == {"tls_certificate", "tls_private_key", "token_file"}
    mounts = [Path(mount["mountPath"]) for mount in secured["volumeMounts"]]
    for path in (settings.tls_certificate, settings.tls_private_key, settings.token_file):
        assert path is not None
        assert path.parent in mounts


def test_the_server_listens_on_the_ports_of_probes_and_service(container: dict[str, Any]):
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": flags(container).port, "metrics": flags(container).metrics_port}
    assert base("networkpolicy")["spec"]["ingress"][1]["ports"] == [{"port": "metrics"}]
    assert base("service")["spec"]["ports"][0]["targetPort"] == "grpc"
    assert base("networkpolicy")["spec"]["ingress"][0]["ports"][0]["port"] == "grpc"
    probes = [container[probe]["grpc"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")]
    assert [probe["port"] for probe in probes] == [flags(container).port] * 3
    assert probes[1]["service"] == SERVICE_NAME


def test_all_selectors_match_the_same_pods():
    pods = base("deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = [
        base("deployment")["spec"]["selector"]["matchLabels"],
        base("service")["spec"]["selector"],
        base("networkpolicy")["spec"]["podSelector"]["matchLabels"],
        base("poddisruptionbudget")["spec"]["selector"]["matchLabels"],
    ]
    assert [pods, *selectors] == [LABELS] * 5
    target = base("horizontalpodautoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", base("deployment")["metadata"]["name"])


def test_the_grace_period_of_the_pod_covers_the_drain(pod: dict[str, Any], container: dict[str, Any]):
    settings = flags(container)
    drain_s = container["lifecycle"]["preStop"]["sleep"]["seconds"] + settings.drain_delay_s + settings.grace_s
    assert drain_s < pod["terminationGracePeriodSeconds"]


def test_the_pod_has_no_privileges(pod: dict[str, Any], container: dict[str, Any]):
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod["automountServiceAccountToken"]
    assert not base("serviceaccount")["automountServiceAccountToken"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    shared = set(pod) & {"hostNetwork", "hostPID", "hostIPC"}
    assert shared == set()


def test_there_are_as_many_engine_processes_as_the_cpu_limit(container: dict[str, Any]):
    limit = int(container["resources"]["limits"]["cpu"])
    assert flags(container).engine_processes == limit


def test_every_mount_has_its_volume(pod: dict[str, Any], container: dict[str, Any]):
    tls = load(FOLDER / "tls/deployment.yaml")["spec"]["template"]["spec"]
    for spec, mounts in ((pod, container["volumeMounts"]), (tls, tls["containers"][0]["volumeMounts"])):
        assert {mount["name"] for mount in mounts} == {volume["name"] for volume in spec["volumes"]}
    models = next(mount for mount in container["volumeMounts"] if mount["name"] == "models")
    assert Path(models["mountPath"]) == flags(container).models
    assert models["readOnly"]
    claims = itertools.chain(*(volume.get("persistentVolumeClaim", {}).items() for volume in pod["volumes"]))
    assert ("claimName", base("persistentvolumeclaim")["metadata"]["name"]) in claims
