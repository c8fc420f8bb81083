#!/usr/bin/python
"""Judge one run by the gates of the policy."""

DOCUMENTATION = r"""
module: day3_gates
short_description: Judge one run of the cycle by the gates of the policy
description:
  - Verifies the ledger of the run, joins its observations with the labels, counts, and judges every gate that holds for
    it. The second smoke is judged against the cycle's first, the full run against both.
  - Writes rows, metrics, confusion matrix, failed cases, rate-limit figures and gates below C(runs/<run_id>), copies
    what the plan names to the top of the results, and appends the rows to C(day3_results.jsonl) once.
  - A failed gate does not fail this module; the conclusion of the phase judges. A run without evidence is inconclusive.
attributes:
  check_mode:
    support: full
    description: Judges and returns everything, writes nothing.
  diff_mode:
    support: none
    description: Judgements are evidence, not configuration.
options:
  data_root:
    description: Folder C(data/day3) of the target.
    type: path
    required: true
  policy:
    description: The policy file.
    type: path
    required: true
  policy_schema:
    description: JSON Schema of the policy.
    type: path
    required: true
  run_id:
    description: The run to judge.
    type: str
    required: true
  kind:
    description: What kind of run it is; the smoke gates belong to phase 3, the full ones to phase 4.
    type: str
    choices: [smoke, full]
    required: true
  ordinal:
    description: Which run of its kind it is.
    type: int
    default: 1
  phase:
    description: The phase that judges. Without it, the one the kind belongs to.
    type: int
    choices: [3, 4]
  digests:
    description:
      - Digests of the inputs as they were read after the run, by the names of the registration. Any that differs is
        named. So is any that was registered and is not among them, unless the evidence itself tells it (policy,
        manifest, labels, documents, request template, verdict map).
    type: dict
  rehearsal_pacing:
    description: Judge the pacing of a rehearsal as one, which may be faster and says so. No other target is eased.
    type: bool
    default: true
  journal:
    description: Journal of the phase; the gates are appended to it as checks.
    type: path
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: Judge the second smoke
  day3_gates:
    data_root: "{{ cycle_data_root }}"
    policy: "{{ playbook_dir }}/../policy/day3.yml"
    policy_schema: "{{ playbook_dir }}/../schemas/policy.schema.json"
    run_id: "{{ __batch_run.run_id }}"
    kind: smoke
    ordinal: 2
"""

RETURN = r"""
status:
  description: What the gates come to, C(pass), C(fail) or C(inconclusive).
  type: str
  returned: always
exit_code:
  description: What a verb would end with by these gates alone.
  type: int
  returned: always
sentence:
  description: The gate that decided, as one line.
  type: str
  returned: always
gates:
  description: Every gate with what was seen, needed, its interval and what would change it.
  type: list
  elements: dict
  returned: always
checks:
  description: The gates that bear on the phase, as checks.
  type: list
  elements: dict
  returned: always
deviations:
  description: Departures from the plan that are said and do not stop a rehearsal.
  type: list
  elements: str
  returned: always
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import JOURNAL, finish, journal
from ansible.module_utils.solidgreen import judgement, policy
from ansible.module_utils.solidgreen.cycle import load as load_cycle
from ansible.module_utils.solidgreen.paths import DataRoot


def judged(module: AnsibleModule) -> dict[str, Any]:
    """Judge the run and write what came of it."""
    params = module.params
    root = DataRoot(Path(params["data_root"]))
    rules = policy.load(Path(params["policy"]), Path(params["policy_schema"]))
    found = judgement.judge_run(
        root,
        rules,
        run_id=params["run_id"],
        kind=params["kind"],
        ordinal=params["ordinal"],
        cycle=load_cycle(root),
        digests=params["digests"],
        rehearsal_pacing=params["rehearsal_pacing"],
    )
    for refused in found.refused:
        module.warn(refused)
    changed = False if module.check_mode else judgement.write(root, found)
    phase = rules.phases[params["phase"] or (3 if params["kind"] == "smoke" else 4)]
    return {
        "changed": changed,
        "run_id": found.run_id,
        "status": found.conclusion.status,
        "exit_code": found.conclusion.exit_code,
        "sentence": found.conclusion.sentence,
        "deviations": found.conclusion.deviations,
        "gates": found.results,
        "checks": journal(module, found.checks(phase.owners[0])),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "data_root": {"type": "path", "required": True},
            "policy": {"type": "path", "required": True},
            "policy_schema": {"type": "path", "required": True},
            "run_id": {"type": "str", "required": True},
            "kind": {"type": "str", "choices": ["smoke", "full"], "required": True},
            "ordinal": {"type": "int", "default": 1},
            "phase": {"type": "int", "choices": [3, 4]},
            "digests": {"type": "dict"},
            "rehearsal_pacing": {"type": "bool", "default": True},
            **JOURNAL,
        },
        supports_check_mode=True,
    )
    finish(module, lambda: judged(module))


if __name__ == "__main__":
    main()
