"""Leaves the server's modules out of the client's wheel; everything else is in pyproject.toml."""

from setuptools import setup
from setuptools.command.build_py import build_py

ONLY = {
    "tfmtl": {"__init__", "keras_classes"},
    "tfmtl.serving": {
        "__init__",
        "async_grpc_client",
        "async_rest_client",
        "grpc_client",
        "operator_client",
        "rest_client",
        "serving_error",
    },
    "tfmtl.values": {"__init__", "feature_arrays"},
}
"""Packages of which the client has these modules; of all others it has every one."""


class ClientModules(build_py):
    """Copies the modules of the client."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        """Package, module and file of every module."""
        found = super().find_package_modules(package, package_dir)
        return [module for module in found if package not in ONLY or module[1] in ONLY[package]]


setup(cmdclass={"build_py": ClientModules})
