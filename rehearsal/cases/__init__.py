"""Seeded, labelled cases for the rehearsal: ninety bundles of trade documents as real PDFs.

The labels stand in the manifest only; nothing here is known to the rehearsal API.
"""

from .build import DEFAULT_SEED, Summary, generate

__all__ = ["DEFAULT_SEED", "Summary", "generate"]
