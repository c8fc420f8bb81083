"""The words a data set is labelled with: constants, so that what must never send them can know them."""

from __future__ import annotations

#: Columns of the manifest.
COLUMNS = (
    "case_id",
    "source_type",
    "source_path",
    "bundle_id",
    "scenario",
    "expected_verdict",
    "sensitivity_tag",
    "contains_pii",
    "language",
    "notes",
    "cleaned_path",
    "synthetic_parent_id",
    "run_enabled",
)
SCENARIOS = ("pass", "warn", "reject", "ocr_noise", "sanctions_tbml_shell")
