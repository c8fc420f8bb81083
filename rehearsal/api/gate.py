"""The gate before the checks: may the credit be judged at all, by what was read of it?"""

from __future__ import annotations

from dataclasses import dataclass

from .credit import Credit
from .extract import MIN_CONFIDENCE
from .papers import Paper

#: Share of the critical fields, in percent, that a credit with a text layer must yield. What OCR did not find may
#: still be on the page, so a scanned credit must yield all of them.
MIN_CRITICAL = 80.0


@dataclass(frozen=True)
class Gate:
    """Whether the checks may run, and what was missing; completeness in percent."""

    completeness: float
    critical_completeness: float
    missing_critical: tuple[str, ...]
    missing_required: tuple[str, ...]
    block_reason: str | None = None
    rule: str | None = None
    title: str = ""
    message: str = ""

    @property
    def blocked(self) -> bool:
        """Whether the request ends here."""
        return self.block_reason is not None

    @property
    def empty(self) -> bool:
        """Whether nothing at all was read of the credit."""
        return self.block_reason == "empty_extraction"


def gate(credit: Credit, lc: Paper | None, papers: list[Paper]) -> Gate:
    """Return the gate's result for a credit and the documents that came with it."""
    critical = {
        "lc_number": credit.number,
        "applicant": credit.applicant,
        "beneficiary": credit.beneficiary,
        "amount": credit.amount,
        "currency": credit.amount.currency if credit.amount else None,
    }
    required = {
        **critical,
        "lc_type": credit.tags.get("40A") or ("read" if credit.number else None),
        "expiry_date": credit.expiry,
        "latest_shipment": credit.latest_shipment,
        "port_of_loading": credit.loading,
        "port_of_discharge": credit.discharge,
        "goods_description": credit.goods,
    }
    missing_critical = tuple(name for name, value in critical.items() if not value)
    missing_required = tuple(name for name, value in required.items() if not value)
    completeness = round(100 * (1 - len(missing_required) / len(required)), 1)
    critical_completeness = round(100 * (1 - len(missing_critical) / len(critical)), 1)
    verdict = _why_blocked(lc, papers, missing_critical, critical_completeness)
    return Gate(completeness, critical_completeness, missing_critical, missing_required, *verdict)


def _why_blocked(
    lc: Paper | None, papers: list[Paper], missing: tuple[str, ...], critical: float
) -> tuple[str, str, str, str] | tuple[()]:
    if lc is None or not lc.reading.segments:
        message = "No extractable text or structured fields were found in the uploaded documents."
        return "empty_extraction", "LC-GATE-EMPTY-EXTRACTION", "No Extractable Content", message
    if not lc.reading.legible:
        message = (
            f"The letter of credit was read with confidence {lc.reading.confidence:.2f}, {MIN_CONFIDENCE} is needed."
        )
        return "low_extraction_confidence", "LC-GATE-LOW-CONFIDENCE", "Letter of Credit Not Legible", message
    if critical < (100.0 if lc.reading.ocr else MIN_CRITICAL):
        message = f"Not found in the letter of credit: {', '.join(missing)}."
        return "missing_critical_fields", "LC-GATE-MISSING-CRITICAL", "Critical Fields Missing", message
    if unread := [paper.filename for paper in papers if not paper.reading.legible]:
        message = f"Not legible: {', '.join(unread)}."
        return "unreadable_document", "DOC-GATE-UNREADABLE", "Document Not Legible", message
    return ()
