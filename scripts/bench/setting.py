"""What the benches of the batch have in common: a data set, an order over it, and the order carried out."""

from __future__ import annotations

import hashlib
import io
import random
import string
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]
from solidgreen import batch, cases, jsonio, ledger, request, runner
from solidgreen.batch import Order, Report
from solidgreen.cases import Case, Document
from solidgreen.client import Client, Target, open_session
from solidgreen.clock import SystemClock
from solidgreen.ledger import Ledger
from solidgreen.pacing import Pacing
from solidgreen.paths import DataRoot
from solidgreen.workers import Threads

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE, VERDICT_MAP = ROOT / "policy" / "request_template.yml", ROOT / "policy" / "verdict_map.yml"
ROLES = ("lc", "invoice", "bl", "insurance", "packing_list", "coo")
#: The run of every bench: one that no cycle lists.
RUN_ID = "bench"


def pdf(size: int, seed: int) -> bytes:
    """Return a PDF with as many pages of made-up words as make about that many bytes."""
    drawn = random.Random(seed)  # noqa: S311 - the same documents each time
    buffer = io.BytesIO()
    canvas = Canvas(buffer, invariant=True)
    for _ in range(max(1, size // 2650)):
        for line in range(48):
            words = ("".join(drawn.choices(string.ascii_lowercase, k=drawn.randint(2, 9))) for _ in range(9))
            canvas.drawString(60, 780 - 15 * line, " ".join(words))
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def write_cases(folder: Path, count: int, *, roles: Sequence[str] = ROLES[:2], size: int = 0) -> DataRoot:
    """Write a data set of that many cases.

    :param size: bytes of each document, all of them different; 0 for one little set that all cases share
    """
    root = DataRoot(folder)
    papers = {role: pdf(size, seed) if size else b"%%PDF-1.4 %d" % seed for seed, role in enumerate(roles)}
    # Written as they are made: a hundred thousand cases would show in the memory of whoever runs this.
    made = _made(root, papers, count, shared=not size)
    jsonio.write_bytes(root.cases, cases.payload(made, manifest_sha256="0" * 64))
    return root


def _made(root: DataRoot, papers: dict[str, bytes], count: int, *, shared: bool) -> Iterator[Case]:
    documents: tuple[Document, ...] = ()
    for number in range(1, count + 1):
        if not documents or not shared:
            documents = tuple(
                _document(root, f"bundles/b{number}/{role}.pdf", role, b"%b\n%% %d\n" % (data, number))
                for role, data in papers.items()
            )
        yield Case(f"D3-{number:06d}", cases.content_digest(documents), False, documents)


def _document(root: DataRoot, path: str, role: str, data: bytes) -> Document:
    target = root.root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return Document(path, role, "application/pdf", hashlib.sha256(data).hexdigest(), len(data))


def order(root: DataRoot, url: str, *, run_id: str = RUN_ID, **pacing: Any) -> Order:
    """Return an order for all cases; *pacing* is what differs from as fast as it goes with four under way."""
    fields = {"min_interval": 0.0, "max_in_flight": 4, "retries_429": 8, "budget_minutes": 600.0, **pacing}
    return Order(
        root=root,
        kind="full",
        ordinal=1,
        cases=root.cases,
        template=TEMPLATE,
        verdict_map=VERDICT_MAP,
        target=Target(url),
        pacing=Pacing(**fields),
        run_id=run_id,
    )


def send(what: Order) -> Report:
    """Carry the order out as the batch's own module does."""
    clock = SystemClock()
    workers = Threads(Client(open_session(what.pacing.max_in_flight), what.target, clock).send)
    return batch.execute(what, workers, clock=clock, random=random.random)


def record(root: DataRoot, run_id: str = RUN_ID, *, keep: bool = True) -> Ledger:
    """Return the verified record of the run."""
    return ledger.verify(root.run(run_id) / runner.OBSERVATIONS, keep=keep)


def bodies(root: DataRoot) -> dict[str, tuple[bytes, str]]:
    """Return body and content type of the request of each case, by its id."""
    template = request.load_template(TEMPLATE)
    made = {case.case_id: request.build(case, template, root.root) for case in cases.load(root.cases)}
    return {case_id: (built.body, built.content_type) for case_id, built in made.items()}
