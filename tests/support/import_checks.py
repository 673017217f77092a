"""Which part of the project may import which, checked by parsing the source."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

_MATHEMATICS = ("losses", "metrics", "optimizers", "balancing", "sharpness")
_FEATURES = ("features", "data", "layers", *_MATHEMATICS)
_KINDS = ("tasks",)

ALLOWED: dict[str, tuple[str, ...]] = {
    "tfmtl": ("keras_classes",),
    "tfmtl.keras_classes": (),
    "tfmtl.schema": (),
    "tfmtl.values": ("schema",),
    "tfmtl.folders": ("schema",),
    "tfmtl.display": (),
    "tfmtl.core": ("schema",),
    "tfmtl.survival": ("schema", "core"),
    "tfmtl.features": ("schema", "core"),
    **{f"tfmtl.{box}": ("schema", "core", "survival") for box in _MATHEMATICS},
    **{f"tfmtl.{box}": ("schema", "core", "survival", "features") for box in ("layers",)},
    "tfmtl.data": ("schema", "display", "folders", "core", "survival", "features"),
    "tfmtl.preprocessing": ("schema", "values", "folders", "core", "survival", "features", "data", "tasks"),
    "tfmtl.tasks": ("schema", "core", "survival", "layers", "losses", "metrics"),
    "tfmtl.proposal": ("schema", "values", "core", "preprocessing"),
    "tfmtl.frames": ("schema", "values", "display", "folders", "data", "preprocessing", "proposal"),
    "tfmtl.testing": ("schema", "values", "core", *_FEATURES, *_KINDS, "preprocessing", "export"),
    "tfmtl.models": ("schema", "core", "survival", *_FEATURES, *_KINDS),
    "tfmtl.training": ("schema", "display", "folders", "core", "survival", *_FEATURES, *_KINDS, "models"),
    "tfmtl.export": ("schema", "values", "folders", "core", "survival", *_FEATURES, *_KINDS, "models", "training"),
    "tfmtl.baselines": ("schema", "core", "data", "tasks"),
    "tfmtl.report": ("schema", "folders", "core", "survival", *_FEATURES, *_KINDS, "models", "training", "export"),
    "tfmtl.retrieval": (
        *("schema", "folders", "core", "survival", *_FEATURES, *_KINDS),
        *("preprocessing", "frames", "models", "training", "export"),
    ),
    "tfmtl.operators": ("schema", "folders", "core", *_FEATURES, "export"),
}
"""Each box of the library, and the boxes to its left."""

PROJECT = ("tfmtl", "pipelines", "serving", "tests", "benchmarks")
STANDARD_LIBRARY = frozenset(sys.stdlib_module_names)
SCHEMA_MAY_IMPORT = STANDARD_LIBRARY | {"yaml"}
VALUES_MAY_IMPORT = STANDARD_LIBRARY | {"numpy", "pyarrow"}
SERVING_MAY_IMPORT = ("schema", "values", "folders")  # none loads TensorFlow

# What server and client both speak knows neither, and a client never needs the server.
SERVING_PARTS_UNKNOWN_TO = {
    "tfmtl.serving.protocol": ("tfmtl.serving.server", "tfmtl.serving.client", "tfmtl.serving.deployment"),
    "tfmtl.serving.client": ("tfmtl.serving.server", "tfmtl.serving.deployment"),
    "tfmtl.serving.server": ("tfmtl.serving.client", "tfmtl.serving.deployment"),
}


def import_errors(root: Path) -> list[str]:
    """Every import under `root` that goes the wrong way, as `file:line: reason`."""
    errors = []
    for top in ("tfmtl", "pipelines", "serving"):
        for path in sorted((root / top).rglob("*.py")):
            module = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
            module = module if top == "tfmtl" else f"tfmtl.{module}"  # which is how it is imported
            package = module if path.name == "__init__.py" else module.rpartition(".")[0]
            for line, imported in _imports(path, package):
                reason = _objection(module, imported)
                if reason:
                    errors.append(f"{path.relative_to(root)}:{line}: {reason}")
    return errors


def _imports(path: Path, package: str) -> Iterator[tuple[int, str]]:
    """Line and full name of every imported module; for `from a import b` the name is `a.b`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            source = ".".join(part for part in (base, node.module) if part)
            yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)


def _objection(module: str, imported: str) -> str | None:
    """Why `module` must not import `imported`, or None if it may."""
    top, _, rest = imported.partition(".")
    if top in ("pipelines", "serving"):
        return f"{imported} is imported as tfmtl.{imported}, its name where the package is installed"
    if module.startswith("tfmtl.pipelines"):
        return "nothing imports tests or benchmarks" if top in ("tests", "benchmarks") else None
    if module.startswith("tfmtl.serving"):
        if top in PROJECT and (top != "tfmtl" or rest.split(".")[0] not in ("", "serving", *SERVING_MAY_IMPORT)):
            return f"tfmtl.serving may import only {', '.join(SERVING_MAY_IMPORT)}, not {imported}"
        part, other = (".".join(name.split(".")[:3]) for name in (module, imported))
        if other in SERVING_PARTS_UNKNOWN_TO.get(part, ()):
            return f"{part} must not import {other}"
        return None
    box = ".".join(module.split(".")[:2])
    if box not in ALLOWED:
        return f"{box} has no place in the order of imports; give it one in tests/support/import_checks.py"
    if box == "tfmtl.schema" and top not in SCHEMA_MAY_IMPORT and not imported.startswith("tfmtl.schema"):
        return f"tfmtl.schema may import only the standard library and yaml, not {imported}"
    if box == "tfmtl.values" and top not in VALUES_MAY_IMPORT | {"tfmtl"}:
        return f"tfmtl.values may import only the standard library, numpy and pyarrow, not {imported}"
    if box == "tfmtl.folders" and top not in STANDARD_LIBRARY | {"tfmtl"}:
        return f"tfmtl.folders may import only the standard library, not {imported}"
    if box == "tfmtl" and top in ("tensorflow", "keras"):
        return f"`import tfmtl` must not load {top}"
    if top not in PROJECT:
        return None
    if top != "tfmtl":
        return f"the library must not import {imported}"
    target = rest.partition(".")[0]
    if target in ("pipelines", "serving"):
        return f"the library must not import {imported}"
    if f"tfmtl.{target}" == box or target in (*ALLOWED[box], "__version__"):
        return None
    return f"{box} may import {', '.join(ALLOWED[box]) or 'no other box'}, not {imported}"
