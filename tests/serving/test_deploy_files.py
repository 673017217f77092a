"""The files for running exported models: they parse as what TF Serving, Docker and Kubernetes read."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import descriptor_pool, message_factory, text_format
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from tensorflow_serving.config import model_server_config_pb2

from tfmtl.serving.deployment import deploy_files
from tfmtl.serving.deployment.batching import Batching, choose_batching
from tfmtl.serving.deployment.deploy_files import DeployOptions, write_deploy_files

# The wheel has no classes for these: message -> field -> (number, type), of TF Serving's session_bundle_config.proto
# and monitoring_config.proto; Value is a wrapper message as google.protobuf.Int64Value.
DECLARATIONS: dict[str, dict[str, tuple[int, str]]] = {
    "Value": {"value": (1, "int64")},
    "BatchingParameters": {
        "max_batch_size": (1, "Value"),
        "batch_timeout_micros": (2, "Value"),
        "max_enqueued_batches": (3, "Value"),
        "num_batch_threads": (4, "Value"),
        "allowed_batch_sizes": (6, "[int64]"),
        "pad_variable_length_inputs": (7, "bool"),
    },
    "PrometheusConfig": {"enable": (1, "bool"), "path": (2, "string")},
    "MonitoringConfig": {"prometheus_config": (1, "PrometheusConfig")},
}
TIMES = {1: 1.0, 2: 1.1, 4: 1.4, 8: 2.0, 16: 3.5, 32: 6.0, 64: 11.0, 128: 21.0}


def message(name: str) -> Any:
    """An empty message of one of the declarations."""
    file = FileDescriptorProto(name="declared.proto", package="declared", syntax="proto3")
    for owner, fields in DECLARATIONS.items():
        described = file.message_type.add(name=owner)
        for field_name, (number, kind) in fields.items():
            field = described.field.add(name=field_name, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL)
            if kind.startswith("["):
                field.label = FieldDescriptorProto.LABEL_REPEATED
            element = kind.strip("[]")
            if element in DECLARATIONS:
                field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".declared.{element}"
            else:
                field.type = FieldDescriptorProto.Type.Value(f"TYPE_{element.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"declared.{name}"))()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two models as the files see them: numbered folders; nothing here loads them."""
    root = tmp_path_factory.mktemp("models")
    for name, versions in {"shop": (3, 7, 10), "films": (1, 2)}.items():
        for version in versions:
            (root / name / str(version)).mkdir(parents=True)
            (root / name / str(version) / "saved_model.pb").write_bytes(bytes(2**20))
    return {name: root / name for name in ("shop", "films")}


@pytest.fixture(scope="module")
def written(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files, with a canary."""
    output = tmp_path_factory.mktemp("deploy") / "new"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(deploy_files, "measure_batches", lambda version: TIMES)
        assert write_deploy_files(models, output, DeployOptions(canary=True, cpus=4, budget=30.0)) == TIMES
    return output


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def test_model_config_has_versions_and_labels(written: Path) -> None:
    config = text_format.Parse(
        (written / "models.config").read_text(), model_server_config_pb2.ModelServerConfig()
    ).model_config_list.config
    found = {model.name: model for model in config}
    assert set(found) == {"shop", "films"}
    assert (found["shop"].base_path, found["shop"].model_platform) == ("/models/shop", "tensorflow")
    assert list(found["shop"].model_version_policy.specific.versions) == [7, 10]
    assert dict(found["shop"].version_labels) == {"stable": 7, "canary": 10}
    assert dict(found["films"].version_labels) == {"stable": 1, "canary": 2}


def test_batching_and_monitoring_parse(written: Path) -> None:
    text = (written / "batching.config").read_text()
    parameters = text_format.Parse(text, message("BatchingParameters"))
    assert parameters.max_batch_size.value == parameters.allowed_batch_sizes[-1] == 32
    assert list(parameters.allowed_batch_sizes) == [1, 2, 4, 8, 16, 32]
    assert parameters.num_batch_threads.value == 4
    assert not parameters.pad_variable_length_inputs, "TF Serving would pad histories with their own first event"
    for size, milliseconds in TIMES.items():
        assert re.search(rf"# +{size} rows +{milliseconds:.2f} ms", text)
    monitoring = text_format.Parse((written / "monitoring.config").read_text(), message("MonitoringConfig"))
    assert monitoring.prometheus_config.enable
    assert monitoring.prometheus_config.path == "/monitoring/prometheus/metrics"


def test_compose_runs_the_server_on_these_files(written: Path, models: dict[str, Path]) -> None:
    [compose] = documents(written / "docker-compose.yml")
    services = compose["services"]
    assert "--enable_batching=true" not in services["server"]["command"], "rank would be refused"
    assert "--enable_batching=true" in services["batched"]["command"]
    assert services["batched"]["profiles"] == ["batched"]
    for service in services.values():
        assert service["entrypoint"] == ["tensorflow_model_server"]
        targets = {volume["target"]: volume for volume in service["volumes"]}
        assert targets["/models/shop"]["source"] == str(models["shop"].resolve())
        assert all(volume["read_only"] for volume in targets.values())
        for argument in service["command"]:
            if "/config/" in argument:
                assert (written / argument.split("/config/")[1]).is_file()
        assert "--allow_version_labels_for_unavailable_models=true" in service["command"]
        assert "GET /v1/models/shop HTTP/1.0" in service["healthcheck"]["test"][-1]


def test_compose_is_open_to_this_machine_alone_and_has_no_rights(written: Path) -> None:
    [compose] = documents(written / "docker-compose.yml")
    for service in compose["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
        assert service["user"] == "65532:65532" and "no-new-privileges:true" in service["security_opt"]
        assert service["cpus"] == 4 and service["mem_limit"] == "520m"


@pytest.mark.parametrize("folder", ["a b", "a: b", "{a}, b", 'it\'s "so"', "$HOME ${x}", "é, # no", "a\nb", "- a"])
def test_folders_of_any_name_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    export = tmp_path / folder / "1"
    export.mkdir(parents=True)
    (export / "saved_model.pb").write_bytes(b"")
    monkeypatch.setattr(deploy_files, "measure_batches", lambda version: TIMES)
    write_deploy_files({"shop": tmp_path / folder}, tmp_path / "out", DeployOptions())
    [compose] = documents(tmp_path / "out" / "docker-compose.yml")
    source = compose["services"]["server"]["volumes"][1]["source"]
    assert source.replace("$$", "$") == str(tmp_path / folder)
    assert "$" not in source.replace("$$", "")


@pytest.mark.parametrize("name", ["a b", "a'; rm -rf /; '", "../a", "", "a\nb", "${a}"])
def test_a_name_that_a_shell_would_read_is_refused(models: dict[str, Path], tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="deploy-files: a model's name must be of letters, digits"):
        write_deploy_files({name: models["shop"]}, tmp_path / "out", DeployOptions())
    assert not (tmp_path / "out").exists()


def test_an_image_is_one_and_best_has_a_digest(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ValueError, match=r"DeployOptions: `image` must be a container image\. Received: image='a b'"):
        DeployOptions(image="a b")
    monkeypatch.setattr(deploy_files, "measure_batches", lambda version: TIMES)
    pinned = "registry.example:5000/serving:2.21.0@sha256:" + "0" * 64
    write_deploy_files({"shop": models["shop"]}, tmp_path, DeployOptions(image=pinned))
    assert caplog.messages == []
    [deployment, *_] = documents(tmp_path / "kubernetes" / "server.yaml")
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == pinned
    write_deploy_files({"shop": models["shop"]}, tmp_path, DeployOptions())
    assert ["has no digest" in message for message in caplog.messages] == [True]


def test_kubernetes_gives_the_servers_no_rights(written: Path) -> None:
    by_kind = {item["kind"]: item for item in documents(written / "kubernetes" / "server.yaml")}
    pod = by_kind["Deployment"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    context = pod["securityContext"]
    assert context["runAsNonRoot"] is True and context["runAsUser"] > 0 and context["runAsGroup"] > 0
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"] == {"cpu": "4", "memory": "520Mi"}
        for mount in container["volumeMounts"]:
            assert mount.get("readOnly") or mount["mountPath"] == "/tmp"
    policy = by_kind["NetworkPolicy"]["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= by_kind["Service"]["spec"]["selector"].items()
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"} and policy["egress"] == []
    ports = {port["containerPort"] for port in pod["containers"][0]["ports"]}
    for rule in policy["ingress"]:
        assert rule["from"] and {port["port"] for port in rule["ports"]} <= ports


@pytest.mark.parametrize("file", ["Dockerfile", "pipelines/dataflow/Dockerfile"])
def test_our_images_have_no_rights(file: str) -> None:
    text = (Path(__file__).parents[2] / file).read_text()
    users = re.findall(r"^USER (\d+)", text, re.MULTILINE)
    assert users and int(users[-1]) > 0
    assert "RUN" not in text[text.rindex("USER ") :], "what is installed later would be the worker's to change"


def test_kubernetes_has_what_it_needs(written: Path) -> None:
    [kustomization] = documents(written / "kustomization.yaml")
    by_kind = {item["kind"]: item for name in kustomization["resources"] for item in documents(written / name)}
    assert set(by_kind) == {
        *("Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "PersistentVolumeClaim"),
        "NetworkPolicy",
    }
    [generated] = kustomization["configMapGenerator"]
    assert all((written / name).is_file() for name in generated["files"])
    pod = by_kind["Deployment"]["spec"]["template"]
    [container] = pod["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for probe in ("startupProbe", "readinessProbe"):
        assert container[probe]["httpGet"] == {"path": "/v1/models/shop", "port": "rest"}
    assert f"--rest_api_port={ports['rest']}" in container["args"]
    assert f"--port={ports['grpc']}" in container["args"]
    assert "--enable_batching=true" not in container["args"]
    assert container["resources"]["requests"] == {"cpu": "4", "memory": "520Mi"}  # 512 and four times two exports
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts == {"config": "/config", "models": "/models", "scratch": "/tmp"}
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    assert volumes["config"]["configMap"]["name"] == generated["name"]
    claim = volumes["models"]["persistentVolumeClaim"]["claimName"]
    assert by_kind["PersistentVolumeClaim"]["metadata"]["name"] == claim
    labels = pod["metadata"]["labels"]
    for selector in (
        by_kind["Deployment"]["spec"]["selector"]["matchLabels"],
        by_kind["Service"]["spec"]["selector"],
        by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
    scaled = by_kind["HorizontalPodAutoscaler"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == by_kind["Deployment"]["metadata"]["name"]
    assert 2 <= scaled["minReplicas"] < scaled["maxReplicas"]


def test_nothing_is_left_to_fill_in(written: Path) -> None:
    paths = [path for path in written.rglob("*") if path.is_file()]
    assert len(paths) == 8
    for path in paths:
        assert not re.search(r"\$\{?[a-z]", path.read_text()), path
    runbook = (written / "RUNBOOK.md").read_text()
    for part in ("## Deploy", "## A new version, first as a canary", "## Roll back", "## What to watch"):
        assert part in runbook
    assert "/v1/models/shop/labels/canary:predict" in runbook


def test_without_a_canary_the_newest_is_stable(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[Path] = []
    monkeypatch.setattr(deploy_files, "measure_batches", lambda version: measured.append(version) or TIMES)
    write_deploy_files({"shop": models["shop"]}, tmp_path, DeployOptions())
    config = text_format.Parse((tmp_path / "models.config").read_text(), model_server_config_pb2.ModelServerConfig())
    [model] = config.model_config_list.config
    assert list(model.model_version_policy.specific.versions) == [10]
    assert dict(model.version_labels) == {"stable": 10}
    assert measured == [models["shop"] / "10"]


# === Batching ===


def test_batching_follows_from_the_times() -> None:
    """A third of the budget for a batch, a third for those before it, and the wait of one row."""
    assert choose_batching(TIMES, 30.0, 2) == Batching(32, 1000, 2, 2)
    assert choose_batching(TIMES, 36.0, 2).max_batch_size == 64
    assert choose_batching(TIMES, 3.0, 8) == Batching(1, 1000, 8, 8)
    assert choose_batching({1: 1.0, 2: 1.0}, 30.0, 2) == Batching(2, 1000, 20, 2)
    for budget in (3.0, 10.0, 50.0, 1000.0):
        chosen = choose_batching(TIMES, budget, 2)
        time = TIMES[chosen.max_batch_size]
        waiting = chosen.timeout_micros / 1000.0 + chosen.max_enqueued_batches / chosen.num_batch_threads * time
        assert waiting + time <= budget + 1e-9


def test_errors(models: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`budget` must be at least three times what one row takes, 1.0 ms"):
        choose_batching(TIMES, 2.0, 1)
    with pytest.raises(ValueError, match=r"`cpus` must be a positive number. Received: cpus=0"):
        DeployOptions(cpus=0)
    with pytest.raises(FileNotFoundError, match=r"holds no version. Give the output folder of `tfmtl export`"):
        write_deploy_files({"none": tmp_path}, tmp_path / "out", DeployOptions())
    shutil.copytree(models["shop"] / "3", tmp_path / "one" / "3")
    with pytest.raises(ValueError, match=r"`canary` must have a version before it. Received: only version 3"):
        write_deploy_files({"one": tmp_path / "one"}, tmp_path / "out", DeployOptions(canary=True))
    assert not (tmp_path / "out").exists()
