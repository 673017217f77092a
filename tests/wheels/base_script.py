"""What a plain `pip install tfmtl` has to do: train, export, verify; and say in one line which extra it lacks.

Arguments: prepared data, folder of the runs, folder of the export. Prints a JSON object.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import tfmtl
from tfmtl.data import PreparedData
from tfmtl.export import ExportOptions, export, verify
from tfmtl.pipelines.preprocess.job import preprocess
from tfmtl.training import TrainOptions, fit

data = PreparedData(sys.argv[1])
small = {"hidden_units": (6, 4), "tower_units": (4,), "num_experts": 2}
model = fit(data, sys.argv[2], TrainOptions("dtrn", small, epochs=1, batch_size=64), verbose=0)
version = export(model, data, sys.argv[3])


def command(*arguments: str) -> Callable[[], object]:
    """The `tfmtl` command, which raises here what it would print."""
    from tfmtl.pipelines.cli.app import app

    return lambda: app(list(arguments), standalone_mode=False)


def import_of(module: str) -> Callable[[], object]:
    """An import."""
    return lambda: __import__(module)


nothing = str(Path(sys.argv[2]) / "nothing")
problem = str(Path(sys.argv[1]) / "transform" / "problem.yaml")
log = str(Path(sys.argv[2]) / "log.csv")
Path(log).write_text("user,time\n")
refused = {}
for name, attempt in {
    "preprocess": command("preprocess", log, "--problem", problem, "-o", nothing),
    "preprocess, Spark": lambda: preprocess(data.problem, [log], nothing, engine="spark"),
    "serve": command("serve", sys.argv[3]),
    "deploy-files": command("deploy-files", sys.argv[3], "-o", nothing),
    "data-report": command("data-report", sys.argv[1]),
    "retrieve": command("retrieve", sys.argv[1], "-o", nothing),
    "operators": command("operators", "fisher", "-o", nothing),
    "calibrate": lambda: export(model, data, nothing, options=ExportOptions(calibrate={"click": "platt"})),
    "LocalServer": import_of("tfmtl.serving.local_server"),
    "AsyncRestClient": import_of("tfmtl.serving.async_rest_client"),
}.items():
    try:
        attempt()
    except ImportError as error:
        refused[name] = str(error)
print(json.dumps({"largest": verify(version).largest, "refused": refused, "file": tfmtl.__file__}))
