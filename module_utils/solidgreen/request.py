"""Builds what leaves: a multipart body made of a template and the documents of a case.

Names come from the role of a document, types from its bytes, everything else is constant: whatever a case is called
or expected to be cannot show in its request. The same documents give the same bytes. Each request is looked at before
it is handed out; one that shows its case all the same is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from urllib3 import encode_multipart_formdata

from . import blindness, cases, jsonio
from .cases import Case, Document
from .errors import BadInput, Refused

TEMPLATE_SCHEMA = "solidgreen/request-template/1"
_KEYS = {"schema", "version", "files_part", "fields", "metadata", "tags", "names", "extensions"}


@dataclass(frozen=True)
class Template:
    """The constant parts of a request; ``names`` maps roles to file names without extension, in sending order."""

    sha256: str
    files_part: str
    fields: Mapping[str, str]
    metadata: Mapping[str, Any]
    tags_part: str
    names: Mapping[str, str]
    extensions: Mapping[str, str]

    @cached_property
    def words(self) -> frozenset[str]:
        """The plain words that leave in every request, whatever its documents are."""
        tables = (self.fields, self.names, self.extensions)
        texts = [text for table in tables for pair in table.items() for text in pair]
        return blindness.words([*texts, json.dumps(dict(self.metadata)), self.files_part, self.tags_part])

    def sent_names(self, documents: tuple[Document, ...]) -> Iterator[tuple[str, Document]]:
        """Yield each document with the name it is sent under, in sending order.

        :raises BadInput: the template has no name for a role or no extension for a type
        """
        order = list(self.names)
        used: dict[str, int] = {}
        for document in documents:
            if document.role not in self.names or document.media_type not in self.extensions:
                raise BadInput(
                    "request template",
                    found=f"no name for role {document.role} and type {document.media_type}",
                    need="every role and type of the data set",
                    next_step="add it to names or extensions of the template",
                )
        for document in sorted(documents, key=lambda item: (order.index(item.role), item.sha256)):
            used[document.role] = count = used.get(document.role, 0) + 1
            suffix = f"_{count}" if count > 1 else ""
            yield f"{self.names[document.role]}{suffix}.{self.extensions[document.media_type]}", document


@dataclass(frozen=True)
class Request:
    """A request ready to send: body bytes and their content type."""

    body: bytes
    content_type: str


def load_template(path: Path) -> Template:
    """Return the template of a YAML file.

    :raises BadInput: the file is missing or not such a template
    """
    subject = f"request template {path}"
    try:
        raw = path.read_bytes()
        value = yaml.safe_load(raw)
        if value["schema"] != TEMPLATE_SCHEMA or set(value) - _KEYS:
            raise ValueError(f"the keys {', '.join(sorted(map(str, value)))} under schema {value['schema']}")
        return Template(
            sha256=jsonio.sha256_bytes(raw),
            files_part=str(value["files_part"]),
            fields={str(key): str(text) for key, text in value["fields"].items()},
            metadata={str(value["metadata"]["part"]): value["metadata"]["value"]},
            tags_part=str(value["tags"]["part"]),
            names={str(role): str(name) for role, name in value["names"].items()},
            extensions={str(kind): str(extension) for kind, extension in value["extensions"].items()},
        )
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        found = " ".join(str(error).split()) or type(error).__name__
        raise BadInput(subject, found=found, need=f"a file of {TEMPLATE_SCHEMA}", next_step="correct it") from error


def build(case: Case, template: Template, data_root: Path) -> Request:
    """Return the request for a case, from the bytes on disk.

    :raises Refused: a document is gone or not the one that was qualified, or the request would show more than documents
    """
    files: list[tuple[str, str | tuple[str, bytes, str]]] = []
    tags, contents = {}, {}
    for name, document in template.sent_names(case.documents):
        contents[document.path] = data = _read(data_root, document)
        files.append((template.files_part, (name, data, document.media_type)))
        tags[name] = document.role
    constants = {key: json.dumps(value, sort_keys=True) for key, value in template.metadata.items()}
    parts = [*files, *template.fields.items(), *constants.items(), (template.tags_part, json.dumps(tags))]
    # A boundary made from the content keeps the bytes of a request reproducible.
    body, content_type = encode_multipart_formdata(parts, boundary=case.content_sha256[:32])
    blindness.require(case, body, content_type, contents, template.words)
    return Request(body, content_type)


def _read(data_root: Path, document: Document) -> bytes:
    path = data_root / document.path
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _changed(path, f"no readable file ({error.strerror})") from error
    if jsonio.sha256_bytes(data) != document.sha256:
        raise _changed(path, "other bytes than were qualified")
    if cases.media_type(data) != document.media_type:
        raise _changed(path, f"bytes that are no {document.media_type}")
    return data


def _changed(path: Path, found: str) -> Refused:
    return Refused(
        f"document {path}",
        found=found,
        need="the document as it was qualified",
        next_step='put it back, or start over: invoke go --new-cycle --fix "what was changed"',
    )
