"""What Dataflow gets: the job's graph, the package as a wheel, and workers that have nothing but the wheel."""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from tests.support.command import tfmtl
from tests.support.engines import whole, write_log
from tests.support.small_log import SMALL_PROBLEM, run
from tfmtl.pipelines.preprocess.beam.template import build_template, translate
from tfmtl.preprocessing.plan import Plan
from tfmtl.preprocessing.writing.output_folder import OutputFolder
from tfmtl.schema import Split

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
DATAFLOW = ["--runner=DataflowRunner", "--project=my-project", "--region=europe-west1"]
DRY = [*DATAFLOW, "--temp_location=gs://shop-logs/tmp", "--dry_run=True"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, built from a copy so that nothing is left in the repository."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "tfmtl", "pipelines", "serving"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, source]
    subprocess.run(list(map(str, build)), check=True, capture_output=True, timeout=120)
    [built] = folder.glob("tfmtl-*.whl")
    return built


def _job(*options: str, **arguments: Any) -> beam_runner_api_pb2.Pipeline:
    done = translate(
        SMALL_PROBLEM,
        ["gs://shop-logs/2024/*.parquet"],
        "gs://shop-logs/out",
        **{"num_shards": 3, "beam_options": [*DRY, *options], **arguments},
    )
    return done.job.proto_pipeline


def _stages(job: beam_runner_api_pb2.Pipeline) -> set[str]:
    """The names of the top."""
    [root] = job.root_transform_ids
    parts = [job.components.transforms[part] for part in job.components.transforms[root].subtransforms]
    return {part.unique_name.partition("/")[0] for part in parts}


def test_a_dry_run_translates_the_whole_job(wheel: Path) -> None:
    """Without credentials and the net: nothing of gs:// is looked at."""
    job = _job(f"--extra_package={wheel}", "--machine_type=n2-standard-8", "--max_num_workers=20")
    stages = [
        "start", "find files", "read rows", "times", "find time cuts", "assign splits", "fit statistics",
        "write shards", "write rejected", "write manifest", "put output in place",
    ]  # fmt: skip
    assert _stages(job) == set(stages)
    staged = {}
    for environment in job.components.environments.values():
        for artifact in environment.dependencies:
            file = beam_runner_api_pb2.ArtifactFilePayload.FromString(artifact.type_payload)
            role = beam_runner_api_pb2.ArtifactStagingToRolePayload.FromString(artifact.role_payload)
            staged[role.staged_name] = (Path(file.path), file.sha256)
    path, digest = staged[wheel.name]
    assert path.read_bytes() == wheel.read_bytes()
    assert digest in ("", hashlib.sha256(wheel.read_bytes()).hexdigest())
    assert staged["extra_packages.txt"][0].read_text().split() == [wheel.name]


def test_a_split_by_user_needs_no_cuts() -> None:
    job = translate(
        replace(SMALL_PROBLEM, split=Split(by="user", valid=0.1, test=0.1)),
        ["gs://shop-logs/*.csv"],
        "gs://shop-logs/out",
        num_shards=3,
        beam_options=DRY,
    ).job.proto_pipeline
    assert "find time cuts" not in _stages(job)
    assert "assign splits" in _stages(job)


def test_the_container_that_the_user_names() -> None:
    image = "europe-docker.pkg.dev/my-project/images/tfmtl:1"
    environments = _job(f"--sdk_container_image={image}").components.environments.values()
    payloads = [beam_runner_api_pb2.DockerPayload.FromString(environment.payload) for environment in environments]
    assert {payload.container_image for payload in payloads} == {image}


def test_the_command_says_that_nothing_ran(tmp_path: Path) -> None:
    SMALL_PROBLEM.save(tmp_path / "problem.yaml")
    where = ["gs://shop-logs/*.csv", "--output", "gs://shop-logs/out", "--problem", tmp_path / "problem.yaml"]
    done = tfmtl("preprocess", *where, "--shards", 3, *DRY)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Translated the job for Dataflow. Nothing was read, run or written")
    spaced = [word for option in DRY[:-1] for word in option.split("=")]
    assert tfmtl("preprocess", *spaced, "--dry_run", *where, "--shards", 3).out == done.out
    assert "`num_shards` must be given with --dry_run" in tfmtl("preprocess", *where, *DRY).err
    table = ["bigquery://p.d.events", *where[1:], "--shards", 3, *DRY]
    assert "the inputs must be files with --dry_run" in tfmtl("preprocess", *table).err


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--dry_run=True"], "--dry_run and --template_location need the runner DataflowRunner. Received: "),
        ([*DATAFLOW, "--dry_run=True"], "`--temp_location` must be a folder at gs:// for DataflowRunner. Received: "),
        ([*DRY, "--temp_location=/tmp"], "`--temp_location` must be a folder at gs:// for DataflowRunner. Received: "),
        ([*DRY, "--staging_location=tmp"], "`--staging_location` must be a folder at gs:// for DataflowRunner. "),
        ([*DRY, "--job_name=Shop!"], "Beam refuses its options. Invalid job_name (Shop!); the name must "),
        ([*DRY[:1], *DRY[2:]], "Beam refuses its options. Missing required option: project."),
    ],
)  # fmt: skip
def test_wrong_options(options: list[str], text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    with pytest.raises(ValueError) as caught:
        _job(beam_options=options)
    assert str(caught.value).startswith(f"preprocess: {text}")


def test_a_job_that_does_not_run_has_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--dry_run and --template_location run nothing"):
        run(tmp_path / "out", write_log(tmp_path / "log"), beam_options=DRY)


@pytest.mark.slow
def test_a_worker_needs_the_wheel_only(wheel: Path, tmp_path: Path) -> None:
    """The template's stages, in the worker program that Dataflow starts, in a Python that has the wheel installed."""
    python = _python_with(wheel, tmp_path / "venv")
    log = write_log(tmp_path / "log")
    worker = SubprocessSDKEnvironment.from_command_string(
        f"cd {tmp_path} && env -u PYTHONPATH {python} -m apache_beam.runners.worker.sdk_worker_main"
    )
    folder = OutputFolder(str(tmp_path / "template"))
    plan = Plan(SMALL_PROBLEM, folder.partial, num_shards=3)

    def where(_: None) -> None:
        import tfmtl
        import tfmtl.preprocessing.plan

        (tmp_path / "where.txt").write_text(f"{tfmtl.__file__}\n{tfmtl.preprocessing.plan.__file__}\n")

    with beam.Pipeline(runner=FnApiRunner(default_environment=worker)) as pipeline:
        build_template(pipeline, plan, [str(log)], folder)
        _ = pipeline | "one" >> beam.Create([None]) | "where" >> beam.Map(where)
    imported = (tmp_path / "where.txt").read_text().split()
    assert [Path(path).is_relative_to(tmp_path / "venv") for path in imported] == [True, True]
    run(tmp_path / "run", log)
    assert whole(tmp_path / "template") == whole(tmp_path / "run")
    assert not Path(folder.partial).exists()


def _python_with(wheel: Path, folder: Path) -> Path:
    """A Python with the wheel, and with what the wheel requires lent from the one that runs the tests."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    [packages] = folder.glob("lib/python*/site-packages")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(packages), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    (packages / "lent.pth").write_text(sysconfig.get_paths()["purelib"] + os.linesep)
    return folder / "bin" / "python"
