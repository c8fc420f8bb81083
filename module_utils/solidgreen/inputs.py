"""What a decision is taken over, as digests: the registration of a cycle is made of these."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from . import jsonio
from . import manifest as manifests
from .errors import BadInput, Inconclusive, InfrastructureStop, Refused, SolidGreenError
from .paths import DataRoot


@dataclass(frozen=True)
class Commit:
    """State of a git checkout; ``commit`` is None outside one, ``changes`` the digest of changed tracked files.

    ``clean`` is False where anything is not committed, new files among it.
    """

    path: str
    commit: str | None
    clean: bool
    changes: str | None


@dataclass(frozen=True)
class Fingerprint:
    """Digests of every input, by name, and readable facts beside them."""

    digests: Mapping[str, str | None]
    facts: Mapping[str, Any]


def commit_of(path: Path) -> Commit:
    """Return the state of the checkout at *path*; a folder without git counts as not clean."""
    head = _git(path, "rev-parse", "HEAD")
    if head is None:
        return Commit(str(path), None, clean=False, changes=None)
    status = _git(path, "status", "--porcelain=v1", "--untracked-files=normal") or b""
    diff = _git(path, "diff", "HEAD", "--no-ext-diff", "--binary") or b""
    changes = jsonio.sha256_bytes(diff) if diff else None
    return Commit(str(path), head.decode().strip(), clean=not status, changes=changes)


def _git(path: Path, *arguments: str) -> bytes | None:
    try:
        done = subprocess.run(  # noqa: S603 - git with fixed verbs
            ["git", "-C", str(path), *arguments],  # noqa: S607 - the git of the operator's PATH
            capture_output=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


#: What makes a target the same one; stub mode is not among it, it is refused by itself.
IDENTITY = ("service", "version", "build", "environment", "rehearsal")


def info_url(target_url: str) -> str:
    """Return where the target of *target_url* says what it is: the same origin, so that nobody else is asked."""
    parts = urlsplit(target_url)
    return f"{parts.scheme}://{parts.netloc}/health/info"


def identity(target_url: str, *, token: str | None = None) -> dict[str, Any]:
    """Return what the target says it is: :data:`IDENTITY`, and ``use_stubs`` (None where it does not say).

    A target that does not mention a rehearsal is none; one that mentions it in any way but ``false`` is one.

    :raises InfrastructureStop: it does not answer with JSON
    """
    url = info_url(target_url)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        response = requests.get(url, headers=headers, timeout=(5, 15), allow_redirects=False)
        said = response.json() if response.status_code == 200 else None
        seen = f"HTTP {response.status_code}"
    except (requests.RequestException, ValueError) as error:
        said, seen = None, type(error).__name__
    if not isinstance(said, dict):
        raise InfrastructureStop(
            f"target {url}",
            found=seen,
            need="HTTP 200 with a JSON object that says what it is",
            next_step="invoke phase --only 1",
        )
    settings = said.get("configuration")
    return {
        **{key: said.get(key) for key in ("service", "version", "build", "environment")},
        "rehearsal": said.get("rehearsal") not in (None, False),
        "use_stubs": settings.get("use_stubs") if isinstance(settings, dict) else None,
    }


def require_real(identity: Mapping[str, Any]) -> None:
    """Refuse a target that answers from a can, or does not say that it does not.

    :raises SolidGreenError: stub mode is on (a NO-GO)
    :raises Inconclusive: the target does not say
    """
    if identity["use_stubs"] is False:
        return
    silent = identity["use_stubs"] is None
    raise (Inconclusive if silent else SolidGreenError)(
        "stub mode",
        found="no word about it in /health/info" if silent else f"use_stubs {identity['use_stubs']!r} in /health/info",
        need="configuration.use_stubs false, said by the target itself",
        next_step="find where USE_STUBS=true comes from (shell, .env, compose), remove it, then invoke phase --only 2",
    )


def require_same_target(phases: Mapping[int, Mapping[str, Any] | None], identity: Mapping[str, Any]) -> None:
    """Refuse a target that is not the one the earlier phases looked at.

    :param phases: verdict files of phases 1 and 2
    :raises Refused: another service, version, build or environment answers now
    """
    for number, verdict in phases.items():
        checks = (verdict or {}).get("checks", [])
        seen: Mapping[str, Any] = next((c["facts"] for c in checks if c["id"] == "target-identity"), {})
        differing = [key for key in IDENTITY if seen.get(key) != identity[key]]
        if differing:
            raise Refused(
                "target",
                found=f"another {', '.join(differing)} than phase {number} looked at",
                need="the target that phases 1 and 2 passed with",
                next_step="invoke phase --only 1, then invoke phase --only 2",
            )


def fingerprint(
    root: DataRoot,
    *,
    manifest_path: Path,
    files: Mapping[str, Path],
    config_files: Sequence[Path],
    settings: Mapping[str, Any],
    images: Mapping[str, str],
    target: Mapping[str, Any],
    pacing: Mapping[str, Any],
    checkouts: Mapping[str, Path],
) -> Fingerprint:
    """Return the digests a cycle registers.

    :param files: single files by name: policy, verdict_map, request_template, plan
    :param config_files: environment and compose files of the stack; one that does not exist counts as absent
    :param settings: further settings the stack was started with
    :param images: service to image id; empty where the stack is down, its digest is None then
    :param checkouts: git checkouts by name: ``solidgreen`` is this project's own, ``checkout`` the target's, if any
    :raises BadInput: a file cannot be read
    """
    data = manifests.load(manifest_path, root.root)
    commits = {name: commit_of(path) for name, path in checkouts.items()}
    digests: dict[str, str | None] = {
        "manifest": data.sha256,
        "labels": jsonio.digest({label.case_id: asdict(label) for label in data.labels}),
        "documents": jsonio.digest({case.case_id: case.content_sha256 for case in data.cases}),
        "config": jsonio.digest([{path.name: _file(path) for path in config_files}, settings]),
        "images": jsonio.digest(images) if images else None,
        "code": _code(commits.get("checkout")),
        "tool": _code(commits.get("solidgreen")),
        "target": jsonio.digest(target),
        "pacing": jsonio.digest(pacing),
    }
    for name, path in files.items():
        if not path.is_file():
            raise BadInput(name, found=f"no file {path}", need=f"the {name} file", next_step="correct its path")
        digests[name] = jsonio.sha256_file(path)
    facts = {
        "git": {name: asdict(commit) for name, commit in commits.items()},
        "images": dict(images),
        "target": dict(target),
        "pacing": dict(pacing),
        "settings": dict(settings),
        "files": {name: str(path) for name, path in files.items()},
    }
    return Fingerprint(digests, facts)


def _file(path: Path) -> str | None:
    return jsonio.sha256_file(path) if path.is_file() else None


def _code(commit: Commit | None) -> str | None:
    return jsonio.digest([commit.commit, commit.changes]) if commit else None
