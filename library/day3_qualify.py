#!/usr/bin/python
"""Qualify the data set and part it into cases and labels."""

DOCUMENTATION = r"""
module: day3_qualify
short_description: Qualify the data set and part it into cases and labels
description:
  - Checks counts, documents and their types, copies and near copies, parents, the smoke, and whether anything tells a
    label, before a request is spent.
  - Writes under C(results/qualified) the cases without labels, the labels apart from them, the drawings of the
    smoke and the probe, and the report.
  - A manifest that is not the data set of the policy is refused and nothing is written.
attributes:
  check_mode:
    support: full
    description: Everything is checked, nothing is written.
  diff_mode:
    support: full
    description: Shows the digests of the files before and after.
options:
  data_root:
    description: Folder of the data set and its results.
    type: path
    required: true
  manifest:
    description: The manifest; C(manifest.csv) of the data root by default.
    type: path
  policy:
    description: The policy, for the counts of the data set and the strata of the smoke.
    type: path
    required: true
  policy_schema:
    description: JSON Schema of the policy.
    type: path
    required: true
  request_template:
    description: What requests are made of.
    type: path
    required: true
  journal:
    description: Journal of the running phase.
    type: path
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: Qualify the data set
  day3_qualify:
    data_root: data/day3
    policy: policy/day3.yml
    policy_schema: schemas/policy.schema.json
    request_template: policy/request_template.yml
"""

RETURN = r"""
status:
  description: V(pass), V(fail), or V(inconclusive) where a verdict comes from one parent alone.
  type: str
  returned: success
checks:
  description: What was checked.
  type: list
  elements: dict
  returned: success
reasons:
  description: Files that differ from what is wanted, with their digests.
  type: list
  elements: dict
  returned: success
files:
  description: Where the parts of the data set lie.
  type: dict
  returned: success
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import JOURNAL, finish, journal
from ansible.module_utils.solidgreen import jsonio, manifest, policy, qualify, request
from ansible.module_utils.solidgreen.errors import IntegrityError
from ansible.module_utils.solidgreen.paths import DataRoot


def work(module: AnsibleModule) -> dict[str, Any]:
    """Qualify and part the data set."""
    params = module.params
    root = DataRoot(Path(params["data_root"]))
    plan = policy.load(Path(params["policy"]), Path(params["policy_schema"]))
    result = qualify.qualify(
        manifest.load(Path(params["manifest"] or root.manifest), root.root),
        plan.dataset,
        plan.smoke,
        data_root=root.root,
        template=request.load_template(Path(params["request_template"])),
        near_copy=float(plan.data["qualification"]["near_copy"]),
        correlation=float(plan.data["dependence"]["intra_parent_correlation"]),
    )
    wanted: dict[Path, Any] = {
        root.cases: result.cases,
        root.labels: result.labels,
        root.smoke_selection: result.smoke,
        root.qualified / "probe.json": result.probe,
        root.qualification: result.report,
    }
    reasons = []
    for path, value in wanted.items():
        lines = isinstance(value, bytes)
        current, desired = _digest(path, lines), jsonio.sha256_bytes(value) if lines else jsonio.digest(value)
        if current != desired:
            reasons.append({"name": path.name, "current": current, "desired": desired})
            if not module.check_mode:
                jsonio.write_bytes(path, value) if lines else jsonio.write_json(path, value)
    return {
        "changed": bool(reasons),
        "status": result.report["status"],
        "checks": journal(module, result.checks),
        "reasons": reasons,
        "files": {path.stem: path for path in wanted},
        "diff": {
            "before": {reason["name"]: reason["current"] for reason in reasons},
            "after": {reason["name"]: reason["desired"] for reason in reasons},
        },
    }


def _digest(path: Path, lines: bool) -> str | None:
    """Return the digest of the lines or of the JSON a file of ours holds; one that cannot be read is written anew."""
    if not path.is_file():
        return None
    try:
        return jsonio.sha256_file(path) if lines else jsonio.digest(jsonio.read_json(path))
    except IntegrityError:
        return None


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "data_root": {"type": "path", "required": True},
            "manifest": {"type": "path"},
            "policy": {"type": "path", "required": True},
            "policy_schema": {"type": "path", "required": True},
            "request_template": {"type": "path", "required": True},
            **JOURNAL,
        },
        supports_check_mode=True,
    )
    finish(module, lambda: work(module))


if __name__ == "__main__":
    main()
