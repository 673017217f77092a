"""What a plain `pip install tfmtl` has to do: prepare, train, export; and say in one line which extra it lacks.

Arguments: a log, its problem file, a folder to write to. Prints a JSON object.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

import tfmtl
from tfmtl.export import ExportOptions, export, verify
from tfmtl.pipelines.preprocess.job import preprocess
from tfmtl.pipelines.tables.bigquery_table import copy_bigquery
from tfmtl.pipelines.tables.iceberg_table import copy_iceberg
from tfmtl.retrieval import fit_retrieval
from tfmtl.training import TrainOptions, fit

log, problem, folder = sys.argv[1:]
prepared, run, exported, nothing = (str(Path(folder) / name) for name in ("data", "run", "exported", "nothing"))
data = tfmtl.prepare(log, problem, prepared)
small = {"hidden_units": (6, 4), "tower_units": (4,), "num_experts": 2}
model = fit(data, run, TrainOptions("dtrn", small, epochs=1, batch_size=64), verbose=0)
version = export(model, data, exported)


def command(*arguments: str) -> Callable[[], object]:
    """The `tfmtl` command, which raises here what it would print."""
    from tfmtl.pipelines.cli.app import app

    return lambda: app(list(arguments), standalone_mode=False)


def import_of(module: str) -> Callable[[], object]:
    """An import."""
    return lambda: __import__(module)


refused = {}
for name, attempt in {
    "preprocess, Beam": command("preprocess", log, "--problem", problem, "-o", nothing, "--engine", "beam"),
    "preprocess, Spark": lambda: preprocess(data.problem, [log], nothing, engine="spark"),
    "Iceberg": lambda: copy_iceberg("shop/logs.events", {}, nothing),
    "BigQuery": lambda: copy_bigquery("p.d.events", {}, nothing),
    "serve": command("serve", exported),
    "deploy-files": command("deploy-files", exported, "-o", nothing),
    "data-report": command("data-report", prepared),
    "retrieve": lambda: fit_retrieval(data, pa.table({"item": ["i1"]}), nothing),
    "operators": command("operators", "fisher", "-o", nothing),
    "calibrate": lambda: export(model, data, nothing, options=ExportOptions(calibrate={"click": "platt"})),
    "LocalServer": import_of("tfmtl.serving.local_server"),
    "AsyncRestClient": import_of("tfmtl.serving.async_rest_client"),
}.items():
    try:
        attempt()
    except ImportError as error:
        refused[name] = str(error)
    except Exception as error:
        refused[name] = repr(error)
print(json.dumps({"largest": verify(version).largest, "refused": refused, "file": tfmtl.__file__}))
