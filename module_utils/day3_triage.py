"""What the triage modules share: their arguments, and what those lead to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.solidgreen import causes, logs, request
from ansible.module_utils.solidgreen.diagnosis import Log
from ansible.module_utils.solidgreen.errors import BadInput
from ansible.module_utils.solidgreen.policy import Policy

CAUSES: dict[str, Any] = {
    "causes": {"type": "path", "required": True},
    "causes_schema": {"type": "path", "required": True},
    "policy": {"type": "path", "required": True},
    "policy_schema": {"type": "path", "required": True},
    "request_template": {"type": "path"},
    "logs": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "service": {"type": "str", "required": True},
            "path": {"type": "path", "required": True},
            "tail": {"type": "int", "default": 0},
            "offset": {"type": "int", "default": 0},
        },
    },
}


def load_causes(params: Mapping[str, Any], policy: Policy) -> causes.Causes:
    """Return the known causes.

    :raises BadInput: their file cannot be used; the line is named
    """
    owners = {owner for phase in policy.phases for owner in phase.owners}
    return causes.load(Path(params["causes"]), Path(params["causes_schema"]), owners)


def known_causes(params: Mapping[str, Any], policy: Policy) -> tuple[causes.Causes, str]:
    """Return the known causes, or none and why: what they would explain is looked at all the same."""
    try:
        return load_causes(params, policy), ""
    except BadInput as error:
        return causes.Causes("", ()), f"{error.subject}: found {error.found}"


def read_logs(params: Mapping[str, Any]) -> tuple[Log, ...]:
    """Return what the logs say."""
    return tuple(
        Log(logs.read(logs.Source(**{**entry, "path": Path(entry["path"])})), str(entry["path"]))
        for entry in params["logs"]
    )


def sent_fields(params: Mapping[str, Any]) -> Mapping[str, str] | None:
    """Return the constant fields of the requests, None where their template cannot be read."""
    try:
        return request.load_template(Path(params["request_template"])).fields if params["request_template"] else None
    except BadInput:
        return None
