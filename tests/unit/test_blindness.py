"""The code that sends and reads verdicts cannot see a label: shown by what it imports, refuses and sends."""

from __future__ import annotations

import ast
import base64
import dataclasses
import hashlib
import json
import re
import socketserver
import tempfile
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import solidgreen
from batch_world import TEMPLATE, VERDICT_MAP, records, steady
from dataset import DATASET, SMOKE, pdf, rows_of_all, write_all, write_documents, write_manifest
from hypothesis import event, given
from hypothesis import strategies as st
from solidgreen import batch, blindness, cases, jsonio, manifest, qualify, request
from solidgreen.cases import Case, Document
from solidgreen.client import Client, Target, open_session
from solidgreen.clock import SystemClock
from solidgreen.errors import Refused
from solidgreen.pacing import Pacing
from solidgreen.paths import DataRoot
from solidgreen.request import Template
from solidgreen.workers import Threads

CORE = Path(solidgreen.__file__).parent
#: Modules through which a label could come.
LABELLED = {
    "manifest",
    "qualify",
    "selection",
    "inputs",
    "metrics",
    "gates",
    "early",
    "judgement",
    "report",
    "decision",
}
PLAN = request.load_template(TEMPLATE)
FOLDER = "bundles/03cc1d3ec6b1"
PNG = b"\x89PNG\r\n\x1a\n"


def imports(name: str) -> set[str]:
    """Return the modules of the core that a module of it imports."""
    found = set()
    for node in ast.walk(ast.parse((CORE / f"{name}.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            found |= {node.module} if node.module else {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize(
    "name", ["batch", "blindness", "client", "ledger", "request", "runner", "shards", "triage", "verdict", "workers"]
)
def test_nothing_that_sends_or_reads_can_reach_a_label(name: str) -> None:
    reached, todo = set(), {name}
    while todo:
        module = todo.pop()
        reached.add(module)
        todo |= imports(module) - reached
    assert not reached & LABELLED


def bundle(root: Path, *, case_id: str = "D3-001", folder: str = FOLDER, **files: bytes) -> Case:
    """Write documents, each called by its role unless the name has a dot, and return their case."""
    documents = []
    for key, data in (files or {"lc": b"%PDF-1.4 a credit", "invoice": b"%PDF-1.4 an invoice"}).items():
        path = f"{folder}/{key if '.' in key else f'{key}.pdf'}".lstrip("/")
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
        role = manifest.role_of(Path(path).name) or "lc"
        kind = cases.media_type(data)
        assert kind is not None
        documents.append(Document(path, role, kind, hashlib.sha256(data).hexdigest(), len(data)))
    return Case(case_id, cases.content_digest(documents), False, tuple(documents))


def changed(**changes: Any) -> Template:
    """Return the template of the plan with parts changed, mappings added to."""
    values = {
        key: {**getattr(PLAN, key), **value} if isinstance(value, dict) else value for key, value in changes.items()
    }
    return dataclasses.replace(PLAN, **values)


def note(text: str) -> Template:
    """Return the template of the plan with a field that says something more."""
    return changed(fields={"note": text})


def encoded(text: str) -> str:
    """Return the base64 of a text."""
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("template", "words"),
    [
        pytest.param(note("reject"), "the word 'reject' in the part note", id="a verdict"),
        pytest.param(note("Case-PASS_1"), "the word 'pass' in the part note", id="a verdict between signs"),
        pytest.param(note("was BLOCKED"), "the word 'blocked' in the part note", id="a verdict in capitals"),
        pytest.param(note("two warnings"), "the word 'warnings' in the part note", id="a verdict's other form"),
        pytest.param(note("x-OCR-noise2"), "the word 'ocr-noise' in the part note", id="a scenario"),
        pytest.param(note("SanctionsTbmlShell"), "the word 'sanctionstbmlshell'", id="a scenario in one word"),
        pytest.param(note("%72eject"), "the word 'reject' in the part note", id="percent-encoded"),
        pytest.param(note("=72eject"), "the word 'reject' in the part note", id="quoted-printable"),
        pytest.param(note("ref " + encoded("reject")), "the word 'reject' in the part note", id="base64"),
        pytest.param(note("\uff52\uff45\uff4a\uff45\uff43\uff54"), "the word 'reject'", id="in wide letters"),
        pytest.param(note("r\0e\0j\0e\0c\0t\0"), "the word 'reject' in the part note", id="in UTF-16"),
        pytest.param(changed(names={"lc": "LC_warn"}), "the word 'warn' in the part files", id="in a file name"),
        pytest.param(changed(files_part="pass"), "the word 'pass' in the part pass", id="as a part's name"),
        pytest.param(changed(tags_part="pass"), "the word 'pass' in the part pass", id="as the name of the tags"),
        pytest.param(
            changed(metadata={"metadata": {"x": "warn"}}), "the word 'warn' in the part metadata", id="metadata"
        ),
        pytest.param(
            changed(fields={"expected_verdict": "?"}), "the column name 'expected_verdict'", id="a column's name"
        ),
        pytest.param(
            changed(fields={"X-Expected-Verdict": "?"}), "the column name 'expected_verdict'", id="a column as a header"
        ),
        pytest.param(
            changed(metadata={"metadata": {"syntheticParentId": 4}}),
            "the column name 'synthetic_parent_id' in the part metadata",
            id="a column in camel case",
        ),
        pytest.param(note("D3-001"), "the case id 'D3-001' in the part note", id="the case id"),
        pytest.param(note("for d3-001!"), "the case id 'D3-001' in the part note", id="the case id folded"),
        pytest.param(note("D3001"), "the case id 'D3-001' in the part note", id="the case id without separators"),
        pytest.param(note("xD3_001y"), "the case id 'D3-001' in the part note", id="the case id inside a word"),
        pytest.param(note("D3%2D001"), "the case id 'D3-001' in the part note", id="the case id percent-encoded"),
        pytest.param(note(encoded("D3-001")), "the case id 'D3-001' in the part note", id="the case id in base64"),
        pytest.param(
            changed(names={"invoice": "Invoice_D3-001"}),
            "the case id 'D3-001' in the part files",
            id="in a file name too",
        ),
        pytest.param(note(FOLDER), "the path fragment '03cc1d3ec6b1' in the part note", id="the path"),
        pytest.param(note("b-03CC1D3EC6B1"), "the path fragment '03cc1d3ec6b1' in the part note", id="the folder"),
    ],
)
def test_a_request_whose_envelope_tells_is_not_built(tmp_path: Path, template: Template, words: str) -> None:
    with pytest.raises(Refused) as caught:
        request.build(bundle(tmp_path), template, tmp_path)
    assert str(caught.value).startswith("request for case D3-001: found ")
    assert words in str(caught.value)
    assert caught.value.exit_code == 13


@pytest.mark.parametrize(
    ("case_id", "folder", "file", "text", "words"),
    [
        (
            "Fall-M\u00fcller-7",
            "b/1",
            "lc.pdf",
            "fall-m\u00fcller-7",
            "the case id 'Fall-M\u00fcller-7' in the part metadata",
        ),
        ("A1", "acme_trading/x", "lc.pdf", "acme", "the path fragment 'acme' in the part metadata"),
        ("A1", "shared/2024-17", "lc.pdf", "the 2024 17", "the path fragment '2024-17' in the part metadata"),
        ("A1", "b/1", "Annex K LC.pdf", "annex k lc", "the path fragment 'Annex K LC' in the part metadata"),
        ("London", "b/1", "lc.pdf", "London", "the case id 'London' in the part metadata"),
    ],
    ids=["letters JSON escapes", "a word of a folder", "a folder of numbers", "a stem", "an id that is a word"],
)
def test_names_of_any_kind_are_found_in_the_envelope(
    case_id: str, folder: str, file: str, text: str, words: str
) -> None:
    case, contents = Case(case_id, "0" * 64, False, ()), {f"{folder}/{file}": b"%PDF-1"}
    part = f'--b\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n{json.dumps(text)}\r\n--b--\r\n'
    with pytest.raises(Refused) as caught:
        blindness.require(case, part.encode(), "multipart/form-data; boundary=b", contents, PLAN.words)
    assert words in str(caught.value)


def test_a_builder_that_sends_files_under_their_own_paths_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Template, "sent_names", lambda _, documents: ((found.path, found) for found in documents))
    with pytest.raises(Refused, match="the path fragment '03cc1d3ec6b1' in the part files"):
        request.build(bundle(tmp_path), PLAN, tmp_path)


def test_a_word_in_the_content_type_or_between_the_parts_is_found(tmp_path: Path) -> None:
    case = bundle(tmp_path)
    built = request.build(case, PLAN, tmp_path)
    contents = {document.path: (tmp_path / document.path).read_bytes() for document in case.documents}
    for body, content_type, words in (
        (built.body, f"{built.content_type}; x=warn", "the word 'warn' in the content type"),
        (built.body + b"reject", built.content_type, "the word 'reject' in the body outside its parts"),
        (b'{"case": "D3-001"}', "application/json", "the case id 'D3-001' in the body outside its parts"),
    ):
        with pytest.raises(Refused, match=re.escape(words)):
            blindness.require(case, body, content_type, contents, PLAN.words)


@pytest.mark.parametrize(
    ("case_id", "folder", "names"),
    [
        ("D3-001", FOLDER, ["lc", "invoice"]),
        ("LC", "letter_of_credit/exporter", ["MT700", "Commercial Invoice", "Invoice_2", "invoice3"]),
        ("Invoice 1", "data/form/application/pdf/name", ["packing-list", "BL"]),
        ("2", "reject/pass/7", ["coo", "lc"]),
        ("warn-me", "", ["lc"]),
        ("c0117", "x", ["lc"]),
    ],
    ids=[
        "as generated",
        "called like the template",
        "like the syntax",
        "like a label",
        "no folder",
        "a digest's digits",
    ],
)
def test_names_that_do_not_show_in_the_request_are_no_leak(
    tmp_path: Path, case_id: str, folder: str, names: list[str]
) -> None:
    files = {f"{name}.pdf": f"%PDF-1.4 {number}".encode() for number, name in enumerate(names)}
    case = bundle(tmp_path, case_id=case_id, folder=folder, **files)
    request.build(case, note("a passport, unblocked"), tmp_path)


def info(value: bytes) -> bytes:
    """Return a PDF whose title is written so."""
    return b"%PDF-1.4\n7 0 obj\n<< /Title " + value + b" >>\nendobj\ntrailer << /Info 7 0 R >>"


def stream(about: bytes, data: bytes) -> bytes:
    """Return a PDF with one stream."""
    return b"%PDF-1.5\n1 0 obj\n<< " + about + b" >>\nstream\r\n" + data + b"\nendstream\nendobj\ntrailer"


ID = "D3-001"
OCTAL = "".join(f"\\000\\{ord(sign):03o}" for sign in ID).encode()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"%PDF-1.4 case D3-001.", "the case id 'D3-001'", id="the case id"),
        pytest.param(b"%PDF-1.4 d3-001", "the case id 'D3-001'", id="the case id folded"),
        pytest.param(b"%PDF-1.4 " + ID.encode("utf-16-le"), "the case id 'D3-001'", id="the case id in UTF-16 LE"),
        pytest.param(b"%PDF-1.4 " + ID.lower().encode("utf-16-be"), "the case id 'D3-001'", id="and in UTF-16 BE"),
        pytest.param(info(b"(\\376\\377" + OCTAL + b")"), "the case id 'D3-001'", id="in octal escapes"),
        pytest.param(info(b"(D3\\055001)"), "the case id 'D3-001'", id="one sign in octal"),
        pytest.param(info(b"<" + ID.encode().hex().encode() + b">"), "the case id 'D3-001'", id="in hex"),
        pytest.param(
            info(b"<FEFF 0044 0033 002D\n0030 0030 0031>"), "the case id 'D3-001'", id="in hex of UTF-16 with blanks"
        ),
        pytest.param(
            info(b"<" + ID.encode().hex().upper().encode() + b"2>"), "the case id 'D3-001'", id="in hex of odd length"
        ),
        pytest.param(
            stream(b"/Type /ObjStm /Filter /FlateDecode", zlib.compress(info(b"(for d3-001)"))),
            "the case id 'D3-001'",
            id="in a packed object",
        ),
        pytest.param(
            stream(b"/Filter/FlateDecode/Type/Metadata/Subtype/XML", zlib.compress(b"<dc:title>D3-001</dc:title>")),
            "the case id 'D3-001'",
            id="in packed XMP",
        ),
        pytest.param(stream(b"/Type /Metadata", b"<dc:title>D3-001<"), "the case id 'D3-001'", id="in open XMP"),
        pytest.param(stream(b"/Length 20", b"(D3-001) Tj"), "the case id 'D3-001'", id="in an open page"),
        pytest.param(pdf("Two", "lines", title=ID), "the case id 'D3-001'", id="in the title of a real PDF"),
        pytest.param(pdf("Two", "lines", title=f"\u2013 {ID}"), "the case id 'D3-001'", id="in a title in UTF-16"),
        pytest.param(PNG + b"tEXtTitle\0D3-001\x8a", "the case id 'D3-001'", id="in the text of a picture"),
        pytest.param(b"II*\0" + ID.encode("utf-16-le"), "the case id 'D3-001'", id="in a tag of a TIFF"),
        pytest.param(b"%PDF-1.4 x_OCR_Noise_3", "the name 'ocr_noise'", id="a scenario"),
        pytest.param(
            b"\xff\xd8\xff" + "Sanctions_TBML_Shell7".encode("utf-16-be"),
            "the name 'sanctions_tbml_shell'",
            id="another",
        ),
        pytest.param(b"%PDF-1.4 expected_verdict=?", "the name 'expected_verdict'", id="a column's name"),
        pytest.param(b"%PDF-1.4 /mnt/bundles/03CC1D3EC6B1/lc.pdf", "the path 'bundles/03cc1d3ec6b1'", id="the path"),
        pytest.param(b"%PDF-1.4 D:\\bundles\\03cc1d3ec6b1", "the path 'bundles/03cc1d3ec6b1'", id="with other slashes"),
        pytest.param(
            b"%PDF-1.4 " + "D:\\bundles\\03cc1d3ec6b1".encode("utf-16-be"),
            "the path 'bundles/03cc1d3ec6b1'",
            id="UTF-16",
        ),
        pytest.param(info(b"(03cc1d3ec6b1)"), "the folder '03cc1d3ec6b1'", id="the folder"),
    ],
)
def test_a_document_that_tells_is_not_sent(tmp_path: Path, data: bytes, words: str) -> None:
    name = "invoice.pdf" if data.startswith(b"%PDF") else "invoice.png"
    case = bundle(tmp_path, **{"lc.pdf": b"%PDF-1.4 a credit", name: data})
    with pytest.raises(Refused) as caught:
        request.build(case, PLAN, tmp_path)
    assert f"{words} in document {FOLDER}/{name}" in str(caught.value)


@pytest.mark.parametrize(
    ("case_id", "folder", "data"),
    [
        pytest.param(ID, FOLDER, b"%PDF-1.4 (documents that pass are not rejected, a warning) Tj", id="words"),
        pytest.param(ID, FOLDER, info(b"(Reject clause, blocked goods, noise of OCR)"), id="words in a title"),
        pytest.param(ID, FOLDER, b"%PDF-1.4 D3-0012 and 4D3-001", id="inside a longer number"),
        pytest.param(ID, FOLDER, b"%PDF-1.4 uuid:1f0c77d3-001f-4a11-9c3e-8b7c6a5d4e3f", id="inside a UUID"),
        pytest.param(ID, FOLDER, stream(b"/Filter /ASCII85Decode", b"n`]e7k!D3-001%fhl"), id="inside packed letters"),
        pytest.param("c0117", FOLDER, info(b"<859bf377f3c0117a7ac7b75f3746f>"), id="inside a digest"),
        pytest.param("17", "b/1", b"%PDF-1.4 17 cartons of bundles", id="an id like a number"),
        pytest.param("1000234", "b/1", b"%PDF-1.4 0001000234 00000 n 1000234", id="a longer number"),
        pytest.param(
            "London", "b/letter_of_credit", b"%PDF-1.4 London letter_of_credit 2024-01-15", id="names like words"
        ),
        pytest.param("A1", "b/2024-01-15", b"%PDF-1.4 2024-01-15", id="a folder called by a date"),
        pytest.param(ID, FOLDER, stream(b"/Type /ObjStm /Filter /FlateDecode", b"broken"), id="a broken packing"),
        pytest.param(ID, FOLDER, b"%PDF-1.4 stream (no end of it", id="a stream without an end"),
    ],
)
def test_a_document_that_says_ordinary_things_is_sent(tmp_path: Path, case_id: str, folder: str, data: bytes) -> None:
    case = bundle(tmp_path, case_id=case_id, folder=folder, lc=data)
    assert data in request.build(case, PLAN, tmp_path).body


name = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
telling = st.sampled_from(
    ["pass", "REJECT-7", "ocr_noise", "expected_verdict", "D3-001", "files", "LC", "metadata", "b"]
)
called = (name | telling).filter(lambda text: text not in (".", "..") and len(text.encode()) < 200)


@steady
@given(called, st.lists(called, max_size=3), called)
def test_whatever_a_case_is_called_the_same_bytes_leave_or_none(case_id: str, folders: list[str], stem: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        data = b"%PDF-1.4 lc or a pass or D3-001 or REJECT-7"
        neutral = bundle(root, case_id="n1", lc=data)
        path = "/".join([*folders, stem])
        (root / "named" / path).parent.mkdir(parents=True)
        (root / "named" / path).write_bytes(data)
        documents = (dataclasses.replace(neutral.documents[0], path=path),)
        try:
            built = request.build(
                dataclasses.replace(neutral, case_id=case_id, documents=documents), PLAN, root / "named"
            )
        except Refused as refusal:
            found = refusal.found
            event("refused")
        else:
            found = ""
            event("built")
            assert built == request.build(neutral, PLAN, root)
        assert not found or " in the part " in found or " in document " in found


@steady
@given(st.integers(1, 999), st.integers(0, 16**12 - 1), st.binary(max_size=2000))
def test_neutral_names_are_never_refused(number: int, digest: int, noise: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        neutral = bundle(root, case_id=f"D3-{number:03d}", folder=f"bundles/{digest:012x}", lc=b"%PDF-1.7 " + noise)
        request.build(neutral, PLAN, root)


def test_what_a_run_would_refuse_fails_the_qualification_first(tmp_path: Path) -> None:
    write_all(tmp_path)
    write_documents(tmp_path, 3, lc=pdf("kept at", "bundles/b3", title="from bundles/b3/lc.pdf"))
    for template, words in (
        (PLAN, "request for case D3-003: the path 'bundles/b3' in document bundles/b3/lc.pdf"),
        (note("D3-002"), "request for case D3-002: the case id 'D3-002' in the part note"),
    ):
        data = manifest.load(tmp_path / "manifest.csv", tmp_path)
        parted = qualify.qualify(data, DATASET, SMOKE, data_root=tmp_path, template=template)
        blind = {check.id: check for check in parted.checks}["dataset-blind"]
        assert (blind.status, words in blind.seen) == ("fail", True)


class Recorder(socketserver.ThreadingTCPServer):
    """A server that keeps every byte of each request, in the order of arrival, and answers by the body alone."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        self.received: list[bytes] = []
        super().__init__(("127.0.0.1", 0), _Recording)

    def take(self) -> list[bytes]:
        """Return what was received since the last call."""
        taken, self.received = self.received, []
        return taken


class _Recording(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.rfile.readline()
            if not line:
                return
            head += line
        length = re.search(rb"(?i)^content-length: (\d+)", head, re.MULTILINE)
        assert length is not None
        body = self.rfile.read(int(length[1]))
        assert isinstance(self.server, Recorder)
        self.server.received.append(head + body)
        digest = hashlib.sha256(body).digest()
        verdict = ("pass", "warn", "reject", "blocked")[digest[0] % 4]
        answer = json.dumps({"job_id": digest.hex(), "authoritative_verdict": {"label": verdict}}).encode()
        start = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
        self.wfile.write(f"{start}Content-Length: {len(answer)}\r\n\r\n".encode() + answer)


@pytest.fixture(name="server")
def server_fixture() -> Iterator[Recorder]:
    with Recorder() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def test_with_every_label_swapped_the_same_bytes_leave_and_the_same_verdicts_come(
    tmp_path: Path, server: Recorder
) -> None:
    rows = rows_of_all()
    others = [rows[(number + 2) % len(rows)] for number in range(len(rows))]
    swapped = [
        row | {key: other[key] for key in ("scenario", "expected_verdict")}
        for row, other in zip(rows, others, strict=True)
    ]
    for one, other in zip(rows, swapped, strict=True):
        assert one["scenario"] != other["scenario"]
        assert one["expected_verdict"] != other["expected_verdict"]

    root = DataRoot(tmp_path)
    write_all(root.root)
    target = Target(f"http://127.0.0.1:{server.server_address[1]}/api/validate/", token="constant")
    outcomes = []
    for turn, labelled in enumerate((rows, swapped)):
        path = write_manifest(root.root, labelled)
        parted = qualify.qualify(manifest.load(path, root.root), DATASET, SMOKE, data_root=root.root, template=PLAN)
        jsonio.write_bytes(root.cases, parted.cases)
        order = batch.Order(
            root=root,
            kind="full",
            ordinal=1,
            cases=root.cases,
            template=TEMPLATE,
            verdict_map=VERDICT_MAP,
            target=target,
            pacing=Pacing(0.0, 1, 8, 45),
            run_id=f"full1-turn{turn}",
        )
        clock = SystemClock()
        workers = Threads(Client(open_session(1), target, clock).send)
        done = batch.execute(order, workers, clock=clock, random=lambda: 0.5)
        assert done.result is not None
        verdicts = [
            (record["case_id"], record["verdict"])
            for record in records(root.run(done.run_id))
            if record["type"] == "observation"
        ]
        outcomes.append((server.take(), verdicts))
    assert outcomes[0] == outcomes[1]
    sent, verdicts = outcomes[0]
    assert len(sent) == len(set(sent)) == len(verdicts) == 10
    assert len({verdict for _, verdict in verdicts}) > 1
    assert all(data.startswith(b"POST /api/validate/ HTTP/1.1\r\n") for data in sent)
