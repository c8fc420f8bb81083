#!/usr/bin/python
"""Say what the answers of a run show."""

DOCUMENTATION = r"""
module: day3_triage_info
short_description: Say what the answers of a run show, without looking at a label
description:
  - Reads the record of the probe cases, its chain verified, and tells whether everything was blocked, whether documents
    were recognised and read, and what the likeliest cause is.
  - Known causes are data. Where their file cannot be used the checks are made all the same and say why no cause is
    named.
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
  causes:
    description: The known causes.
    type: path
    required: true
  causes_schema:
    description: JSON Schema of the known causes.
    type: path
    required: true
  policy:
    description: The policy; a cause belongs to one of its roles.
    type: path
    required: true
  policy_schema:
    description: JSON Schema of the policy.
    type: path
    required: true
  request_template:
    description: What the requests were made of; without it nothing is said about what they lack.
    type: path
  logs:
    description: Logs of the API, as M(day3_log_info) takes them.
    type: list
    elements: dict
    default: []
    suboptions:
      service:
        description: Name of the service.
        type: str
        required: true
      path:
        description: Its log file.
        type: path
        required: true
      tail:
        description: Read at most this many of its last lines; 0 reads all.
        type: int
        default: 0
      offset:
        description: Byte to read from.
        type: int
        default: 0
  journal:
    description: Journal of the running phase.
    type: path
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: Look at the answers of the probe
  day3_triage_info:
    observations: "{{ __probe_batch.observations }}"
    causes: "{{ triage_causes }}"
    causes_schema: "{{ triage_causes_schema }}"
    policy: "{{ triage_policy }}"
    policy_schema: "{{ triage_policy_schema }}"
"""

RETURN = r"""
checks:
  description: Cases answered, not uniformly blocked, reading proven, verdicts readable.
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
problem:
  description: Why no cause could be looked for, empty where it could.
  type: str
  returned: success
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import JOURNAL, finish, journal
from ansible.module_utils.day3_triage import CAUSES, known_causes, read_logs, sent_fields
from ansible.module_utils.solidgreen import diagnosis, ledger, policy, triage


def info(module: AnsibleModule) -> dict[str, Any]:
    """Return what the answers of the run show."""
    params = module.params
    rules = policy.load(Path(params["policy"]), Path(params["policy_schema"]))
    known, problem = known_causes(params, rules)
    path = Path(params["observations"])
    ledger.verify(path, keep=False)
    run = triage.run_on_disk(path, policy=rules, sent=sent_fields(params))
    seen = diagnosis.Evidence(2, since=run.begun_at, runs=(run,), logs=read_logs(params))
    found = diagnosis.diagnose(seen, known)
    return {
        "changed": False,
        "checks": journal(module, triage.checks(found, problem=problem)),
        "diagnosis": found.facts,
        "cause": found.cause,
        "problem": problem,
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"observations": {"type": "path", "required": True}, **CAUSES, **JOURNAL},
        supports_check_mode=True,
    )
    finish(module, lambda: info(module))


if __name__ == "__main__":
    main()
