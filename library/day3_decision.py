#!/usr/bin/python
"""Decide over the open cycle and write the decision's reports."""

DOCUMENTATION = r"""
module: day3_decision
short_description: Decide over the open cycle and write what the decision rests on
description:
  - Reads the verdict files of the phases, the gates of the runs and the cycle, and decides. A phase without a verdict
    file has not passed.
  - Judges every run again from its ledger, the labels and the policy; a file that says otherwise, or is gone, ends the
    decision with 14.
  - Writes C(decision.json), C(DAY3_SIGNOFF.md), C(EXECUTION_CHECKLIST.md), C(report.html), C(gates.junit.xml) and
    C(evidence/manifest.json). The same inputs give the same bytes, so a rerun changes nothing.
  - A NO-GO does not fail this module; C(exit_code) says what the verb ends with.
attributes:
  check_mode:
    support: full
    description: Decides and returns everything, writes nothing.
  diff_mode:
    support: none
    description: Decisions are evidence, not configuration.
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
  shipped_policy:
    description: >-
      The policy to compare with. Numbers that differ are said in every report, loosened ones cap the decision below
      SOLID GREEN. Without it, or where it was changed itself, a policy that is not the shipped one is said as a whole
      and caps the decision; the shipped one is known by its digest.
    type: path
  level:
    description: The level asked for. C(local) needs phases 0 to 4, C(solid) phase 5 as well and no cap.
    type: str
    choices: [local, solid]
    default: solid
  plan:
    description: The plan's own document, listed in the evidence where it is given.
    type: path
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: Decide
  day3_decision:
    data_root: "{{ cycle_data_root }}"
    policy: "{{ evidence_policy }}"
    policy_schema: "{{ playbook_dir }}/../schemas/policy.schema.json"
    shipped_policy: "{{ playbook_dir }}/../policy/day3.yml"
    level: solid
  register: __evidence_decision
"""

RETURN = r"""
decision:
  description: The decision, for example C(REHEARSAL NO-GO).
  type: str
  returned: always
exit_code:
  description: What the verb ends with; 0 only where the level asked for is reached.
  type: int
  returned: always
sentence:
  description: Decision, the number that decided and the next step as one line.
  type: str
  returned: always
screen:
  description: The last screen, at most ten lines.
  type: list
  elements: str
  returned: always
document:
  description: What C(decision.json) holds.
  type: dict
  returned: always
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import finish
from ansible.module_utils.solidgreen import bundle, policy
from ansible.module_utils.solidgreen.clock import SystemClock
from ansible.module_utils.solidgreen.paths import DataRoot


def decided(module: AnsibleModule) -> dict[str, Any]:
    """Decide and write the reports."""
    params = module.params
    root, schema = DataRoot(Path(params["data_root"])), Path(params["policy_schema"])
    rules = policy.load(Path(params["policy"]), schema)
    shipped = policy.load(Path(params["shipped_policy"]), schema) if params["shipped_policy"] else None
    made = bundle.make(root, rules, shipped=shipped, level_asked=params["level"], now=SystemClock().now())
    plan = Path(params["plan"]) if params["plan"] else None
    return {
        "changed": False if module.check_mode else bundle.write(root, made, plan),
        "decision": made.decision.decision,
        "exit_code": made.decision.exit_code,
        "sentence": made.decision.sentence(),
        "screen": made.screen(str(root.signoff)),
        "document": made.decision,
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "data_root": {"type": "path", "required": True},
            "policy": {"type": "path", "required": True},
            "policy_schema": {"type": "path", "required": True},
            "shipped_policy": {"type": "path"},
            "level": {"type": "str", "choices": ["local", "solid"], "default": "solid"},
            "plan": {"type": "path"},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: decided(module))


if __name__ == "__main__":
    main()
