#!/usr/bin/python
"""Say what the answers of a run show."""

DOCUMENTATION = r"""
module: day3_triage_info
short_description: Say what the answers of a run show, without looking at a label
description:
  - Reads the record of a run, its chain verified, and tells whether everything was blocked, whether documents were
    recognised and read, and what the likeliest cause is.
attributes:
  check_mode:
    support: full
    description: It only reads.
  diff_mode:
    support: none
    description: It only reads.
options:
  observations:
    description: The record of the run, as M(day3_batch) returns it.
    type: path
    required: true
  journal:
    description: Journal of the running phase.
    type: path
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: Look at the answers of the probe
  day3_triage_info:
    observations: "{{ __probe_batch.observations }}"
"""

RETURN = r"""
checks:
  description: Not uniformly blocked, reading proven, verdicts readable.
  type: list
  elements: dict
  returned: success
diagnosis:
  description: What the answers hold, counted.
  type: dict
  returned: success
cause:
  description: The likeliest cause, should something be wrong.
  type: str
  returned: success
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import JOURNAL, finish, journal
from ansible.module_utils.solidgreen import ledger, triage


def info(module: AnsibleModule) -> dict[str, Any]:
    """Return what the answers of the run show."""
    observations = ledger.verify(Path(module.params["observations"])).observations
    diagnosis = triage.diagnose(observations)
    return {
        "changed": False,
        "checks": journal(module, triage.checks(observations)),
        "diagnosis": diagnosis.facts,
        "cause": diagnosis.cause,
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"observations": {"type": "path", "required": True}, **JOURNAL},
        supports_check_mode=True,
    )
    finish(module, lambda: info(module))


if __name__ == "__main__":
    main()
