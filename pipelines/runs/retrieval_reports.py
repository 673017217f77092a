"""What retrieval and joined models say of themselves while they are made."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfmtl.pipelines.cli.screen import console


def say_epoch(facts: Mapping[str, Any]) -> None:
    """One line per epoch."""
    shown = [f"{name} {value:.4f}" for name, value in facts.items() if name.startswith("recall@") and value is not None]
    console.print(
        f"  epoch {facts['epoch']}: loss {facts['loss']:.4f} in its last batch; "
        f"validation {', '.join(shown) or 'has no positive'}"
    )


def read_record(version: Path) -> dict[str, Any]:
    """What a retrieval version says of itself."""
    from tfmtl.folders import ExportedVersion

    record: dict[str, Any] = json.loads(ExportedVersion(version).retrieval.read_text())
    return record


def prove_lists(version: Path) -> None:
    """Verifies a joined version and says so; raises where it does not answer as its stages do."""
    from tfmtl.export import verify

    result = verify(version)
    console.print(
        f"Verified in a fresh process: {', '.join(result.differences)}; lists of real users against one stage called "
        f"after the other: largest difference {result.differences['recommend']:.1e}."
    )
