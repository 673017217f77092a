"""Checks and references that several tests use."""

import pytest

# Without this a failing assert in a helper has no text.
for module in ("layer_checks", "docstring_checks", "import_checks"):
    pytest.register_assert_rewrite(f"tests.support.{module}")
