#!/usr/bin/python
"""Take and use restore points."""

DOCUMENTATION = r"""
module: day3_restore_point
short_description: Take a restore point, or put its files back
description:
  - C(present) keeps the files a rollback needs, with their digests and the facts of the moment. It is taken once a
    cycle; a later call leaves it, or a rollback would come back to the change it should undo.
  - C(restored) puts the kept files back and removes what did not exist then. It refuses when the point was never
    taken, or when a kept file is not what was kept.
attributes:
  check_mode:
    support: full
    description: Tells what would be kept or put back.
  diff_mode:
    support: none
    description: The files hold secrets.
options:
  data_root:
    description: Folder C(data/day3) of the target.
    type: path
    required: true
  points:
    description: Names of the restore points; anything but R1, R2 and R3 is refused with a sentence.
    type: list
    elements: str
    required: true
  state:
    description: What is asked for. C(required) only checks that the point is there and whole.
    type: str
    choices: [present, required, restored]
    default: present
  files:
    description: Role to path, for example C(env) and C(override).
    type: dict
    default: {}
  facts:
    description: Image ids, volumes, git commit, snapshot; plain values without secrets.
    type: dict
    default: {}
  journal:
    description: Journal of the running phase.
    type: path
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: Keep what R1 needs
  day3_restore_point:
    data_root: "{{ freeze_data_root }}"
    points: [R1]
    files:
      env: "{{ stack_state_dir }}/.env"
"""

RETURN = r"""
manifests:
  description: Point to its own manifest.
  type: dict
  returned: always
restored:
  description: Paths that were put back or removed.
  type: list
  elements: str
  returned: state is restored
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import JOURNAL, finish, journal
from ansible.module_utils.solidgreen import cycle, jsonio, restore
from ansible.module_utils.solidgreen.check import Check, Status
from ansible.module_utils.solidgreen.clock import SystemClock
from ansible.module_utils.solidgreen.paths import DataRoot


def present(module: AnsibleModule, root: DataRoot) -> dict[str, Any]:
    """Take the points once a cycle."""
    cycle_id = cycle.require(root)["cycle_id"]
    manifests, checks, changed = {}, [], False
    for name in module.params["points"]:
        known = jsonio.read_json_or_none(restore.folder_of(root, name) / "manifest.json")
        if module.check_mode:
            changed |= known is None or known["cycle_id"] != cycle_id
            continue
        changed |= restore.take_point(
            root,
            name,
            files={role: Path(path) for role, path in module.params["files"].items()},
            facts=module.params["facts"],
            cycle_id=cycle_id,
            clock=SystemClock(),
        )
        manifest = manifests[name] = restore.require_point(root, name).manifest
        checks.append(
            Check(
                id=f"restore-point:{name}",
                title=f"Restore point {name} is taken",
                status=Status.PASS,
                seen=f"taken at {manifest['at']}, {len(manifest['files'])} files, digests read back",
                needed="what a rollback needs, kept before anything is changed",
                owner="SRE Lead",
                at=manifest["at"],
            )
        )
    return {"changed": changed, "manifests": manifests, "checks": journal(module, checks)}


def restored(module: AnsibleModule, root: DataRoot) -> dict[str, Any]:
    """Put the kept files back."""
    points = [restore.require_point(root, name) for name in module.params["points"]]
    paths = [path for point in points if not module.check_mode for path in restore.restore_files(point)]
    return {"changed": bool(paths), "manifests": {point.name: point.manifest for point in points}, "restored": paths}


def required(module: AnsibleModule, root: DataRoot) -> dict[str, Any]:
    """Check that the points are there and whole."""
    manifests = {name: restore.require_point(root, name).manifest for name in module.params["points"]}
    return {"changed": False, "manifests": manifests}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "data_root": {"type": "path", "required": True},
            "points": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "required", "restored"], "default": "present"},
            "files": {"type": "dict", "default": {}},
            "facts": {"type": "dict", "default": {}},
            **JOURNAL,
        },
        supports_check_mode=True,
    )
    work = {"present": present, "required": required, "restored": restored}[module.params["state"]]
    finish(module, lambda: work(module, DataRoot(Path(module.params["data_root"]))))


if __name__ == "__main__":
    main()
