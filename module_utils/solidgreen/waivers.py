"""Waivers: a failed quality gate that an approver carries, by a signed file with a reason and an end.

A waiver is a YAML file below ``waivers`` of the data root. It names one gate, the data set it is for, why, until when
and who signs. It never carries a gate about integrity, nor one that could not be judged: no evidence is nothing to
waive. A file that is not in force for any reason is shown with that reason and changes nothing.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from . import jsonio
from .check import Status
from .clock import parse, stamp
from .gates import GateResult
from .policy import Policy
from .yamlfile import safe_load

SCHEMA = "solidgreen/waiver/1"
#: What the signature is made for: ``ssh-keygen -Y sign -n`` with this name, over :func:`message`.
NAMESPACE = "solidgreen-waiver"
FIELDS = ("schema", "waives", "manifest_sha256", "reason", "expires", "signed_by", "signature")
TIMEOUT_S = 10

#: Given the approvers file, a signer, the bytes and the signature: why it does not hold, "" where it does.
Verify = Callable[[Path, str, bytes, str], str]


@dataclass(frozen=True)
class Waiver:
    """One file; ``refusal`` says why it is not in force, empty where it is, its end aside."""

    file: str
    sha256: str
    waives: str = ""
    manifest_sha256: str = ""
    reason: str = ""
    expires: str = ""
    signed_by: str = ""
    refusal: str = ""

    def covers(self, result: GateResult, at: datetime) -> bool:
        """Tell whether it can carry that gate at that moment."""
        return self.waives == f"{result.scope}:{result.id}" and not self.refusal and parse(self.expires) > at

    def carries(self, results: Sequence[GateResult]) -> bool:
        """Tell whether one of the gates rests on it."""
        return any(result.waiver == self.said() for result in results)

    def said(self) -> str:
        """Return the waiver as a reader is told of it."""
        if self.refusal:
            return f"waiver {self.file} is not in force: {self.refusal}"
        return f"{self.waives} is waived by {self.signed_by} until {self.expires} ({self.reason})"


def load(folder: Path, policy: Policy, manifest_sha256: str | None, verify: Verify | None = None) -> list[Waiver]:
    """Return every waiver of the folder by name, the ones that are not in force with the reason.

    :param manifest_sha256: the data set that is judged
    :param verify: default :func:`ssh_verify`
    """
    check = verify or ssh_verify
    return [_read(path, policy, manifest_sha256, check) for path in sorted(folder.glob("*.y*ml"))]


def apply(results: Sequence[GateResult], waivers: Sequence[Waiver], at: datetime) -> list[GateResult]:
    """Return the gates, the failed ones that a waiver carried at that moment as waived."""
    return [_applied(result, waivers, at) for result in results]


def _applied(result: GateResult, waivers: Sequence[Waiver], at: datetime) -> GateResult:
    if result.status is not Status.FAIL or result.group != "quality":
        return result
    waiver = next((waiver for waiver in waivers if waiver.covers(result, at)), None)
    return replace(result, status=Status.WAIVED, waiver=waiver.said()) if waiver else result


def message(entry: Mapping[str, Any]) -> bytes:
    """Return the bytes that are signed: everything but the signature, canonical."""
    return jsonio.canonical({key: value for key, value in entry.items() if key != "signature"})


def ssh_verify(approvers: Path, signer: str, data: bytes, signature: str) -> str:
    """Return why the signature is not that signer's by ``ssh-keygen -Y verify``, empty where it is.

    :param approvers: OpenSSH's list of allowed signers, one ``NAME KEY`` a line
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "signature"
        path.write_text(signature, encoding="utf-8")
        argv = ["ssh-keygen", "-Y", "verify", "-f", str(approvers), "-I", signer, "-n", NAMESPACE, "-s", str(path)]
        try:
            done = subprocess.run(argv, input=data, capture_output=True, timeout=TIMEOUT_S, check=False)  # noqa: S603 - fixed verb
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            return f"ssh-keygen could not check its signature ({type(error).__name__})"
    if done.returncode == 0:
        return ""
    return f"its signature is not one of {signer} in {approvers.name}"


def _read(path: Path, policy: Policy, manifest_sha256: str | None, verify: Verify) -> Waiver:
    """Return the waiver of a file; whatever is wrong with it is its refusal."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        return Waiver(path.name, "", refusal=f"it cannot be read ({error.strerror})")
    nothing = Waiver(path.name, jsonio.sha256_bytes(raw))
    try:
        entry = safe_load(raw)
    except ValueError as error:
        return replace(nothing, refusal=f"no YAML ({' '.join(str(error).split())[:120]})")
    if not isinstance(entry, dict) or set(entry) != set(FIELDS) or entry["schema"] != SCHEMA:
        return replace(nothing, refusal=f"not {SCHEMA} with {', '.join(FIELDS[1:])}")
    # YAML reads an unquoted time as one; it is written back as the text it stands for.
    try:
        entry = {key: stamp(value) if isinstance(value, datetime) else value for key, value in entry.items()}
    except ValueError as error:
        return replace(nothing, refusal=f"a time without a zone, or none at all ({error})")
    if not all(isinstance(value, str) and value.strip() for value in entry.values()):
        return replace(nothing, refusal="an empty field, or one that is no text")
    known = {key: entry[key] for key in FIELDS[1:-1]}
    waiver = replace(nothing, **known)
    return replace(waiver, refusal=_refusal(waiver, entry, policy, manifest_sha256, verify))


def _refusal(
    waiver: Waiver, entry: Mapping[str, Any], policy: Policy, manifest_sha256: str | None, verify: Verify
) -> str:
    gate = next((gate for gate in policy.gates if f"{gate.scope}:{gate.id}" == waiver.waives), None)
    if gate is None:
        return f"{waiver.waives} is no gate of the policy (scope:id, for example smoke:accuracy)"
    if not gate.waivable:
        asked = "only a hard or review gate of quality can be waived"
        return f"{waiver.waives} is about {gate.group} and {gate.severity}: {asked}"
    try:
        parse(waiver.expires)
    except ValueError:
        return f"expires {waiver.expires!r} is no time (as 2026-03-02T12:00:00Z)"
    if waiver.manifest_sha256 != manifest_sha256:
        return "it is for another data set (manifest_sha256)"
    if not policy.approvers.is_file():
        return f"there is no policy/{policy.approvers.name} to check its signature by"
    return verify(policy.approvers, waiver.signed_by, message(entry), str(entry["signature"]))
