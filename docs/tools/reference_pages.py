"""Hook of MkDocs: a reference page for every package, with every public name; nothing is imported for it.

What is public is what the package's `__init__.py` promises in `__all__`; a test compares these lists with a frozen one.
A name that has no entry on its page, or no docstring, ends the build.
"""

import ast
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
# Beside the packages that `tfmtl.__all__` names: the bases of kinds of one's own, and the clients.
FURTHER = ("tfmtl.features", "tfmtl.tasks")
CLIENTS = {
    "tfmtl.serving.grpc_client": "GrpcClient",
    "tfmtl.serving.rest_client": "RestClient",
    "tfmtl.serving.async_grpc_client": "AsyncGrpcClient",
    "tfmtl.serving.async_rest_client": "AsyncRestClient",
    "tfmtl.serving.client.sync_client": "SyncClient",
    "tfmtl.serving.client.async_client": "AsyncClient",
    "tfmtl.serving.client.base_client": "BaseClient",
    "tfmtl.serving.serving_error": "ServingError",
}


def promised(package: str) -> list[str]:
    """The names in `__all__` of a package, in alphabetical order whatever their case."""
    for node in _tree(package).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return sorted(ast.literal_eval(node.value), key=str.lower)
    return []


def reference() -> dict[str, list[str]]:
    """Package -> its public names; a name that is a package itself has an entry of its own instead."""
    found: dict[str, list[str]] = {}
    waiting = ["tfmtl", *FURTHER]
    for package in waiting:
        names = promised(package)
        inner = [f"{package}.{name}" for name in names if _init(f"{package}.{name}").is_file()]
        found[package] = [name for name in names if f"{package}.{name}" not in inner]
        waiting += inner
        if (
            package != "tfmtl"
        ):  # packages inside that are public without being in the list, such as tfmtl.losses.survival
            folders = sorted(path.parent.name for path in _init(package).parent.glob("*/__init__.py"))
            waiting += [each for each in (f"{package}.{name}" for name in folders) if set(promised(each)) - set(names)]
    return dict(sorted(found.items()))


def _init(package: str) -> Path:
    return ROOT.joinpath(*package.split("."), "__init__.py")


def _tree(package: str) -> ast.Module:
    return ast.parse(_init(package).read_text(encoding="utf-8"))


def _page(package: str, names: list[str]) -> str:
    """Markdown of one package: its docstring, a list of the names, and an entry for each."""
    text = [f"# {package}", ast.get_docstring(_tree(package)) or "", *_entries(package, names)]
    return "\n\n".join(text) + "\n"


def _entries(package: str, names: list[str]) -> list[str]:
    links = ", ".join(f"[`{name}`][{package}.{name}]" for name in names)
    if package != "tfmtl":
        return [links, *(f"::: {package}.{name}" for name in names)]
    # They load on first use, so no import says where they are from; most have their entry on another page.
    listed = {f"{other}.{name}" for other, found in reference().items() for name in found}
    lines = "\n".join(f"- `tfmtl.{name}` is [`{_place(name)}`][{_place(name)}]" for name in names)
    return [lines, *(f"::: {_place(name)}" for name in names if _place(name) not in listed)]


def _place(name: str) -> str:
    """The full name of what `tfmtl` itself offers."""
    for node in _tree("tfmtl").body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id == "_FUNCTIONS"
        ):
            return f"tfmtl.{ast.literal_eval(node.value)[name]}.{name}"
    raise PluginError(f"docs: `_FUNCTIONS` of tfmtl/__init__.py must say where '{name}' is from.")


def _clients() -> str:
    text = [
        "# Clients",
        "Clients of a model server, which load no TensorFlow. The four classes differ in protocol and in whether calls "
        "are awaited; arguments are those of `BaseClient`, calls those of `SyncClient` and `AsyncClient`.",
    ]
    return "\n\n".join([*text, *(f"::: {module}.{name}" for module, name in CLIENTS.items())]) + "\n"


# === MkDocs ===


def on_config(config: Any) -> Any:
    """Puts the pages into the navigation."""
    pages = [{package: _path(package)} for package, names in reference().items() if names]
    [reference_entry] = [entry["Reference"] for entry in config.nav if isinstance(entry, dict) and "Reference" in entry]
    [python] = [entry for entry in reference_entry if isinstance(entry, dict) and "Python" in entry]
    python["Python"] = [*pages, {"Clients": "reference/clients.md"}]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages."""
    for package, names in reference().items():
        if names:
            files.append(File.generated(config, _path(package), content=_page(package, names)))
    files.append(File.generated(config, "reference/clients.md", content=_clients()))
    return files


def on_post_build(config: Any) -> None:
    """Raises if a public name has no entry."""
    missing = missing_names(Path(config.site_dir))
    if missing:
        raise PluginError(f"docs: every public name must have a docstring and so an entry. Missing: {missing}.")


def missing_names(site: Path) -> list[str]:
    """The public names without an entry on the built page of their package."""
    missing = []
    for package, names in reference().items():
        if package == "tfmtl":  # its list links to the entries, which a strict build follows
            continue
        page = (site / _path(package)).with_suffix(".html")
        ids = set(re.findall(r'id="([\w.]+)"', page.read_text(encoding="utf-8"))) if names else set()
        missing += [f"{package}.{name}" for name in names if f"{package}.{name}" not in ids]
    return missing


def _path(package: str) -> str:
    return f"reference/{package}.md"
