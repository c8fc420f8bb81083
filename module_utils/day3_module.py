"""What every ``day3_*`` module shares: errors become one sentence, checks go to the journal of their phase."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.solidgreen.check import Check
from ansible.module_utils.solidgreen.cycle import Holder
from ansible.module_utils.solidgreen.errors import BadInput, SolidGreenError
from ansible.module_utils.solidgreen.jsonio import to_plain

#: Modules that look at something take this argument; the phase that runs them hands it in.
JOURNAL = {"journal": {"type": "path"}}


def finish(module: AnsibleModule, work: Callable[[], dict[str, Any]]) -> None:
    """Run *work* and end the module with its result, or with the sentence and exit code of its error."""
    try:
        result = work()
    except SolidGreenError as error:
        module.fail_json(msg=str(error), exit_code=int(error.exit_code), error=to_plain(error.facts()))
    else:
        module.exit_json(**to_plain(result))


def journal(module: AnsibleModule, checks: Sequence[Check]) -> list[dict[str, Any]]:
    """Append *checks* to the journal the module was given, fsynced, and return them as plain values.

    In check mode, or without a journal, nothing is written. A later call may look at the same thing again, after a
    remedy; within one call the last of two checks would hide the other.

    :raises BadInput: two checks have the same id
    """
    twice = sorted(name for name, count in Counter(check.id for check in checks).items() if count > 1)
    if twice:
        raise BadInput(
            f"check {twice[0]}",
            found="two checks of one task under this id",
            need="an id for each, so that neither hides the other",
            next_step="give each an `id` of its own where the role or the inventory lists them",
        )
    rows = [check.to_dict() for check in checks]
    path = module.params.get("journal")
    if path and rows and not module.check_mode:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open("ab") as handle:
            handle.writelines(json.dumps(row, sort_keys=True).encode() + b"\n" for row in rows)
            handle.flush()
            os.fsync(handle.fileno())
    return rows


def holder() -> Holder:
    """Return who works on the cycle: the outermost ``ansible-playbook`` this module runs under, else its parent."""
    playbooks = [
        process.pid
        for process in psutil.Process().parents()
        if any(Path(part).name == "ansible-playbook" for part in process.cmdline()[:2])
    ]
    return Holder.of(playbooks[-1] if playbooks else os.getppid())
