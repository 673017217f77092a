"""The models of a server, whose configuration can change while it runs."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from weakref import WeakSet

from tfmtl.serving.protocol.version_status import VersionStatus
from tfmtl.serving.server.dropped_models import free_dropped_models
from tfmtl.serving.server.model_config import ModelConfig
from tfmtl.serving.server.model_registry import ModelRegistry
from tfmtl.serving.server.served_model import ServedModel
from tfmtl.serving.server.server_metrics import Version
from tfmtl.serving.serving_error import ServingError

logger = logging.getLogger(__name__)


class ModelManager:
    """Finds the version that a request asks for, among several models.

    `refresh` and `reload` are called by one thread only, the others by any.

    Args:
        configs: the models, of different names.
    """

    def __init__(self, configs: Sequence[ModelConfig]) -> None:
        self._registries: Mapping[str, ModelRegistry] = {config.name: ModelRegistry(config) for config in configs}
        self._loaded: WeakSet[ServedModel] = WeakSet()  # since the start, without those that have ended
        self._num_loaded = self._num_failed = 0
        self._has_dropped = False

    def start(self) -> None:
        """Loads every model.

        Raises:
            ServingError: `FAILED_PRECONDITION` if one has no version that can be loaded, or not one it names.
            OSError: if a base directory cannot be read.
        """
        self.refresh()
        for registry in self._registries.values():
            registry.check()

    def refresh(self) -> None:
        """Follows the base directory of every model, see `ModelRegistry.refresh`.

        Raises:
            OSError: if one cannot be read; the others have been followed.
        """
        failure = None
        for registry in self._registries.values():
            try:
                registry.refresh()
            except OSError as error:
                failure = error
        self._free_ended()
        if failure is not None:
            raise failure

    def reload(self, configs: Sequence[ModelConfig]) -> None:
        """Serves these models instead. What is loaded and still wanted stays, what is new is loaded first.

        Args:
            configs: the models, of different names.

        Raises:
            ServingError: `FAILED_PRECONDITION` if something the configuration names cannot be loaded or a base
                directory cannot be read; everything is then served as before.
        """
        try:
            registries = self._load(configs)
        except ServingError:
            self._has_dropped = True  # what was loaded in vain; until the error is told it holds that
            raise
        self._registries = registries
        for registry in registries.values():
            registry.unload()
        logger.info("Serving models %s.", sorted(registries))
        self._free_ended()

    def get(self, name: str, version: int | None = None, label: str = "") -> ServedModel:
        """Returns a loaded version, the newest by default.

        Raises:
            ServingError: `NOT_FOUND` for an unknown model, and as `ModelRegistry.get`.
        """
        return self._registry(name).get(version, label)

    def statuses(self, name: str, version: int | None = None, label: str = "") -> list[VersionStatus]:
        """Returns the state of every version of a model, newest first, or of the given one.

        Raises:
            ServingError: `NOT_FOUND` for an unknown model, and as `ModelRegistry.statuses`.
        """
        return self._registry(name).statuses(version, label)

    def is_known(self, name: str) -> bool:
        """Whether a model of this name is served."""
        return name in self._registries

    def names(self) -> list[str]:
        """The names of all models."""
        return sorted(self._registries)

    def versions(self) -> Iterator[Version]:
        """Name, number and state of every version seen."""
        for name, registry in sorted(self._registries.items()):
            for status in registry.statuses():
                yield name, status.version, status.state

    def _load(self, configs: Sequence[ModelConfig]) -> dict[str, ModelRegistry]:
        """The first half of `reload`."""
        registries: dict[str, ModelRegistry] = {}
        for config in configs:
            previous = self._registries.get(config.name)
            is_same = previous is not None and previous.config.base_dir == config.base_dir
            registry = registries[config.name] = ModelRegistry(config, previous if is_same else None)
            try:
                registry.load()
            except OSError as error:
                message = f"Model {config.name!r}: cannot read {str(config.base_dir)!r}. {error}"
                raise ServingError("FAILED_PRECONDITION", message) from error
            registry.check()
        return registries

    def _free_ended(self) -> None:
        """Frees the memory of versions that have ended, or were loaded in part, since the last look."""
        num_failed = sum(registry.num_failed for registry in self._registries.values())
        if self._has_dropped or len(self._loaded) < self._num_loaded or num_failed != self._num_failed:
            free_dropped_models()
            self._has_dropped = False
        for registry in self._registries.values():
            self._loaded.update(registry.models())
        self._num_loaded, self._num_failed = len(self._loaded), num_failed

    def _registry(self, name: str) -> ModelRegistry:
        registry = self._registries.get(name)
        if registry is None:
            raise ServingError(
                "NOT_FOUND",
                f"Servable not found for request: model {name!r}. Served models: {sorted(self._registries)}.",
            )
        return registry
