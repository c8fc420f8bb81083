"""One validation from bytes to answer; blocking work, run on a thread of its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from .answers import Body, Case, blocked, judged, no_lc_found
from .checks import CHECKS, Presentation, findings, verdict
from .credit import Credit, Party, read_credit
from .extract import Reading, read
from .faults import Faults, digest, unreadable
from .gate import Gate, gate
from .jobs import Jobs
from .papers import TYPES, Paper, type_of
from .screening import SCREENING
from .settings import Settings

_log = logging.getLogger("rehearsal.api.validation")
#: What a stub answers, whatever it is sent.
_STUB_CREDIT = Credit(number="STUB-LC-0001", applicant=Party("Stub Applicant"), beneficiary=Party("Stub Beneficiary"))


@dataclass(frozen=True)
class Upload:
    """A file as it was sent; its bytes agree with its declared type."""

    filename: str
    content_type: str
    data: bytes


def validate(
    uploads: Sequence[Upload],
    tags: Mapping[str, str],
    request_id: str,
    settings: Settings,
    jobs: Jobs,
    faults: Faults,
    met: frozenset[str],
) -> Body:
    """Return the body of the answer to a presentation.

    :param met: the faults it meets
    :raises psycopg.OperationalError: the database is gone
    :raises psycopg.ProgrammingError: the database's schema is not ours
    """
    started = time.monotonic()
    timings = {"request_received": 0.0, "form_parsed": 0.0}

    def reached(step: str) -> None:
        timings[step] = round(time.monotonic() - started, 3)

    if settings.use_stubs:
        papers = [
            Paper(one.filename, type_of(one.filename, tags.get(one.filename), Reading()), Reading()) for one in uploads
        ]
        passed = Gate(100.0, 100.0, (), ())
        case = Case(jobs.open(request_id, len(uploads)), papers, _STUB_CREDIT, passed, verdict="pass", stub=True)
        case.timings = timings
        jobs.close(case.job_id, case.verdict, [], 0.0)
        return judged(case)

    presented = digest(one.data for one in uploads)
    papers = _read(uploads, tags, blind=unreadable(presented, met))
    if "lc_not_found" in met:
        papers = [replace(one, type="supporting_document") if one.type == TYPES["lc"] else one for one in papers]
    reached("ocr_extraction_complete")
    lc = next((paper for paper in papers if paper.type == "letter_of_credit"), None)
    if uploads and lc is None:
        return no_lc_found(papers)
    credit = read_credit(lc.reading) if lc else Credit()
    reached("lc_type_detected")
    case = Case(jobs.open(request_id, len(uploads)), papers, credit, timings=timings)
    reached("session_created")
    case.gate = gate(credit, lc, papers)
    reached("validation_gate_complete")
    if not case.gate.blocked:
        case.findings = findings(Presentation(credit, papers), (*CHECKS, *SCREENING))
        if "false_pass" in met:
            case.findings = []
        case.verdict = faults.verdict(verdict(case.findings), presented, met)
        reached("crossdoc_validation_complete")
    case.seconds = round(time.monotonic() - started, 3)
    body = blocked(case) if case.gate.blocked else judged(case)
    reached("response_building")
    issues = [case.gate.rule] if case.gate.rule else [one.id for one in case.findings]
    jobs.close(case.job_id, case.verdict, issues, case.seconds)
    facts = {"job_id": case.job_id, "verdict": case.verdict, "issues": len(issues), "seconds": case.seconds}
    _log.info("Validation finished", extra={"facts": facts})
    return body


def _read(uploads: Sequence[Upload], tags: Mapping[str, str], *, blind: bool) -> list[Paper]:
    """Read all files at once and tell what each is; the log gets names and counts, never text."""
    if not uploads:
        return []
    total = len(uploads)
    _log.info(f"Starting parallel OCR extraction for {total} files")
    with ThreadPoolExecutor(max_workers=min(total, 4), thread_name_prefix="read") as pool:
        readings = list(pool.map(lambda one: Reading() if blind else read(one.content_type, one.data), uploads))
    papers = []
    for number, (upload, reading) in enumerate(zip(uploads, readings, strict=True), start=1):
        if reading.segments:
            _log.info(f"[OCR {number}/{total}] Completed {upload.filename}: {len(reading.text)} chars")
        else:
            _log.warning(f"All OCR providers failed for {upload.filename}")
        paper = Paper(upload.filename, type_of(upload.filename, tags.get(upload.filename), reading), reading)
        _log.info(f"Processing file {number}/{total}: {upload.filename} (type: {paper.type}, {len(upload.data)} bytes)")
        papers.append(paper)
    return papers
