#!/usr/bin/python
"""Read the manifest of the data set and count it."""

DOCUMENTATION = r"""
module: day3_manifest_info
short_description: Read the manifest of the data set and count it
description:
  - Reads every row and every document it names, so that nothing else starts over a data set that cannot be used.
  - With O(policy) the counts are compared with it; a data set of another size is refused.
attributes:
  check_mode:
    support: full
    description: It only reads.
  diff_mode:
    support: none
    description: It only reads.
options:
  data_root:
    description: Folder of the data set and its results.
    type: path
    required: true
  manifest:
    description: The manifest; C(manifest.csv) of the data root by default.
    type: path
  policy:
    description: The policy that says what the data set must hold; without it nothing is compared.
    type: path
  policy_schema:
    description: JSON Schema of the policy.
    type: path
  run:
    description: The run it is looked at for, such as V(smoke1); its check is then called after it.
    type: str
    default: ""
  journal:
    description: Journal of the running phase.
    type: path
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: Look at the data set before anything is written
  day3_manifest_info:
    data_root: data/day3
    policy: policy/day3.yml
    policy_schema: schemas/policy.schema.json
"""

RETURN = r"""
sha256:
  description: Digest of the manifest.
  type: str
  returned: success
cases:
  description: Number of enabled cases.
  type: int
  returned: success
scenarios:
  description: Cases per scenario.
  type: dict
  returned: success
verdicts:
  description: Cases per expected verdict.
  type: dict
  returned: success
parents:
  description: Number of distinct parents.
  type: int
  returned: success
checks:
  description: The counts against the policy, where O(policy) is given.
  type: list
  elements: dict
  returned: success
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import JOURNAL, finish, journal
from ansible.module_utils.solidgreen import manifest, policy, qualify
from ansible.module_utils.solidgreen.paths import DataRoot


def info(module: AnsibleModule) -> dict[str, Any]:
    """Return the manifest in numbers."""
    root, given = DataRoot(Path(module.params["data_root"])), module.params["policy"]
    rules = policy.load(Path(given), Path(module.params["policy_schema"])) if given else None
    data = manifest.load(Path(module.params["manifest"] or root.manifest), root.root)
    checks = [qualify.require_counts(data, rules.dataset)] if rules else []
    if run := module.params["run"]:
        checks = [replace(check, id=f"{run}:{check.id}") for check in checks]
    return {
        "changed": False,
        "sha256": data.sha256,
        "cases": len(data.cases),
        "scenarios": data.per_scenario(),
        "verdicts": data.per_verdict(),
        "parents": len({label.parent for label in data.labels}),
        "checks": journal(module, checks),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "data_root": {"type": "path", "required": True},
            "manifest": {"type": "path"},
            "policy": {"type": "path"},
            "policy_schema": {"type": "path"},
            "run": {"type": "str", "default": ""},
            **JOURNAL,
        },
        required_together=[("policy", "policy_schema")],
        supports_check_mode=True,
    )
    finish(module, lambda: info(module))


if __name__ == "__main__":
    main()
