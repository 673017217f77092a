"""The two wheels: what is in them, and that what they declare is enough for what they promise."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2
from packaging.requirements import Requirement

from tests.support.linked_environment import LinkedEnvironment
from tfmtl.folders import ExportedVersion
from tfmtl.serving.local_server import LocalServer

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = {
    "preprocess, Beam": ("apache_beam", "beam"),
    "preprocess, Spark": ("pyspark", "spark"),
    "Iceberg": ("pyiceberg", "iceberg"),
    "BigQuery": ("apache_beam", "gcp"),
    "serve": ("aiohttp", "server"),
    "deploy-files": ("tensorflow_serving", "server"),
    "data-report": ("jinja2", "report"),
    "retrieve": ("tensorflow_recommenders", "retrieval"),
    "operators": ("matplotlib", "physics"),
    "calibrate": ("matplotlib", "report"),
    "LocalServer": ("aiohttp", "server"),
    "AsyncRestClient": ("aiohttp", "server"),
}
"""Feature -> the module that it lacks, and the extra that brings it."""
ASK = """
import json, sys
from importlib.util import find_spec

import tfmtl
from tfmtl.serving import async_grpc_client, async_rest_client, operator_client
from tfmtl.serving.grpc_client import GrpcClient
from tfmtl.serving.rest_client import RestClient

rest, grpc, row = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
columns = {name: [value] for name, value in row.items()}
answers = []
for kind, port in ((RestClient, rest), (GrpcClient, grpc)):
    with kind(f"127.0.0.1:{port}", "golden") as client:
        answers.append({name: float(values[0]) for name, values in client.predict(columns).items()})
try:
    tfmtl.models
except ImportError as error:
    refused = str(error)
print(json.dumps({
    "answers": answers,
    "refused": refused,
    "found": [name for name in ("tensorflow", "keras", "pyarrow", "apache_beam") if find_spec(name)],
}))
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both, built from a copy so that nothing is left in the repository."""
    folder = tmp_path_factory.mktemp("wheels")
    source = folder / "source"
    names = ("pyproject.toml", "README.md", "LICENSE", "tfmtl", "pipelines", "serving", "client")
    leave_out = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
    source.mkdir()
    for name in names:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=leave_out)
        else:
            shutil.copy(ROOT / name, source / name)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-build-isolation",
    ]
    for project in (source, source / "client"):
        subprocess.run([*pip, "-w", str(folder), str(project)], check=True, capture_output=True, timeout=120)
    return {path.name.partition("-")[0]: path for path in folder.glob("*.whl")}


@pytest.fixture(scope="module")
def base(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> LinkedEnvironment:
    """The package without any extra."""
    return LinkedEnvironment(tmp_path_factory.mktemp("base"), wheels["tfmtl"])


@pytest.fixture(scope="module")
def trained(base: LinkedEnvironment) -> tuple[Path, dict]:
    """A model exported in it, and what was said meanwhile."""
    problem = GOLDEN / "data" / "transform" / "problem.yaml"
    result = base.run(Path(__file__).with_name("base_script.py"), GOLDEN / "log.csv", problem, base.folder)
    assert result.returncode == 0, result.stderr
    return base.folder / "exported", json.loads(result.stdout.splitlines()[-1])


def _names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_package_has_everything_and_one_name(wheels: dict[str, Path]) -> None:
    names = _names(wheels["tfmtl"])
    assert {name.partition("/")[0] for name in names} == {"tfmtl", f"tfmtl-{_version()}.dist-info"}
    wanted = {"py.typed": "tfmtl/py.typed", "licence": f"tfmtl-{_version()}.dist-info/LICENSE"}
    assert set(wanted.values()) <= {name.replace("/licenses/", "/") for name in names}
    for folder, at in (("tfmtl", "tfmtl"), ("pipelines", "tfmtl/pipelines"), ("serving", "tfmtl/serving")):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".yaml", ".html", ".protoset", ".typed", ".cc") or "templates" in path.parts:
                name = f"{at}/{path.relative_to(ROOT / folder).as_posix()}"
                assert path.is_dir() or name in names, f"{name} is not in the wheel: see package-data in pyproject.toml"
    assert not [name for name in names if name.split("/")[0] in ("tests", "benchmarks") or "/tests/" in name]


def test_the_client_is_a_part_of_the_package(wheels: dict[str, Path]) -> None:
    client, package = _names(wheels["tfmtl_client"]), _names(wheels["tfmtl"])
    assert {name for name in client if ".dist-info/" not in name} < package
    folders = {"/".join(name.split("/")[:3]) for name in client if name.startswith("tfmtl/serving/")}
    assert {name for name in folders if not name.endswith(".py")} == {"tfmtl/serving/client", "tfmtl/serving/protocol"}
    assert {"tfmtl/py.typed", f"tfmtl_client-{_version()}.dist-info/LICENSE"} <= {
        name.replace("/licenses/", "/") for name in client
    }


def test_the_package_without_extras_trains_exports_and_verifies(
    base: LinkedEnvironment, trained: tuple[Path, dict]
) -> None:
    exported, said = trained
    assert Path(said["file"]).is_relative_to(base.folder)
    assert said["largest"] < 1e-5 and (exported / "1" / "saved_model.pb").is_file()
    assert not {"apache-beam", "aiohttp", "matplotlib", "pyspark", "tensorflow-serving-api"} & base.names
    assert base.check().strip() == "No broken requirements found."


def test_what_needs_an_extra_says_which(trained: tuple[Path, dict]) -> None:
    refused = trained[1]["refused"]
    assert set(refused) == set(EXTRAS)
    for feature, (module, extra) in EXTRAS.items():
        assert refused[feature].endswith(f"needs {module}. Install it: pip install 'tfmtl[{extra}]'."), refused[feature]
        assert extra in PROJECT["optional-dependencies"]


def test_the_client_without_tensorflow_asks_a_server(
    wheels: dict[str, Path], trained: tuple[Path, dict], tmp_path: Path
) -> None:
    environment = LinkedEnvironment(tmp_path / "client", wheels["tfmtl_client"])
    assert environment.check().strip() == "No broken requirements found."
    golden = json.loads(ExportedVersion(trained[0] / "1").golden.read_text().splitlines()[0])
    with LocalServer(trained[0], "golden", grpc_port=0, rest_port=0) as server:
        row = json.dumps(golden["features"])
        result = environment.run("-c", ASK, server.rest_port, server.grpc_port, row)
    assert result.returncode == 0, result.stderr
    said = json.loads(result.stdout)
    assert said["found"] == []
    assert (
        said["refused"] == "tfmtl: `models` is not part of tfmtl-client. Install the whole package: pip install tfmtl."
    )
    for answer in said["answers"]:
        assert answer == pytest.approx(golden["response"], rel=1e-5)


def test_an_undeclared_package_is_missed(wheels: dict[str, Path], tmp_path: Path) -> None:
    """The known-bad input: without PyYAML's declaration the client does not start in such an environment."""
    bad = tmp_path / wheels["tfmtl_client"].name
    with zipfile.ZipFile(wheels["tfmtl_client"]) as source, zipfile.ZipFile(bad, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("/METADATA"):
                content = b"\n".join(line for line in content.splitlines() if b"PyYAML" not in line)
            target.writestr(name, content)
    result = LinkedEnvironment(tmp_path / "bad", bad).run("-c", "import tfmtl.serving.rest_client")
    assert result.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'yaml'"


def test_all_is_every_extra_that_runs() -> None:
    extras = set(PROJECT["optional-dependencies"]) - {"all", "docs"}
    [every] = PROJECT["optional-dependencies"]["all"]
    assert Requirement(every).extras == extras


def test_the_image_installs_what_the_package_declares() -> None:
    """The command of the Dockerfile, run on the versions that it pins."""
    [command] = re.findall(r"^RUN (sed .*) > installed.txt", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    result = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
    pinned = {
        requirement.name.lower(): requirement
        for requirement in map(Requirement, _without_comments(result.stdout.splitlines()))
    }
    assert all(str(requirement.specifier).startswith("==") for requirement in pinned.values())
    extras = PROJECT["optional-dependencies"]
    left_out = {"all", "docs", "spark", "tune", "track"}
    declared = [
        *PROJECT["dependencies"],
        *(text for extra in extras if extra not in left_out for text in extras[extra]),
    ]
    for requirement in map(Requirement, declared):
        if requirement.name == "tfmtl":  # an extra that needs another one, which is declared itself
            assert requirement.extras <= set(extras) - left_out
            continue
        version = str(pinned[requirement.name.lower()].specifier).removeprefix("==")
        assert requirement.specifier.contains(version, prereleases=True), requirement


def _without_comments(lines: Sequence[str]) -> list[str]:
    return [text for line in lines if (text := line.partition("#")[0].strip())]


def test_the_serving_api_is_the_one_of_its_package() -> None:
    from tensorflow_serving.apis import prediction_log_pb2, prediction_service_pb2

    stored = (ROOT / "tfmtl" / "export" / "serving_api.protoset").read_bytes()
    files = {file.name: file for file in descriptor_pb2.FileDescriptorSet.FromString(stored).file}
    waiting = [prediction_service_pb2.DESCRIPTOR, prediction_log_pb2.DESCRIPTOR]
    seen = set()
    for descriptor in waiting:
        if descriptor.name not in seen:
            seen.add(descriptor.name)
            waiting += descriptor.dependencies
            copy = descriptor_pb2.FileDescriptorProto()
            descriptor.CopyToProto(copy)
            assert files[descriptor.name] == copy
    assert seen == set(files)


def _version() -> str:
    import tfmtl

    return tfmtl.__version__
