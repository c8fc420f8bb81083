#!/usr/bin/python
"""Make the rehearsal's own cases."""

DOCUMENTATION = r"""
module: day3_rehearsal_cases
short_description: Generate the rehearsal's labelled bundles where there are none at all
description:
  - Writes manifest and bundles by the generator of O(project). A data root that holds either of them is left alone, so
    that a lost manifest is never replaced silently.
attributes:
  check_mode:
    support: full
    description: Tells whether cases would be made.
  diff_mode:
    support: none
    description: Bundles are PDF files.
options:
  data_root:
    description: Folder C(data/day3) of the target.
    type: path
    required: true
  project:
    description: Root of this repository.
    type: path
    required: true
  seed:
    description: Seed of the generator; the same seed gives the same bytes.
    type: int
    required: true
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: Make the rehearsal's cases
  day3_rehearsal_cases:
    data_root: data/day3
    project: "{{ playbook_dir }}"
    seed: 20260301
"""

RETURN = r"""
generated:
  description: Whether cases were made.
  type: bool
  returned: always
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import finish
from ansible.module_utils.solidgreen.errors import BadInput
from ansible.module_utils.solidgreen.paths import DataRoot


def work(module: AnsibleModule) -> dict[str, Any]:
    """Run the generator where there is nothing."""
    root = DataRoot(Path(module.params["data_root"]))
    wanted = not root.manifest.exists() and not (root.root / "bundles").exists() and not root.results.exists()
    if not wanted or module.check_mode:
        return {"changed": wanted, "generated": False}
    done = subprocess.run(  # noqa: S603 - our own generator
        [sys.executable, "-m", "rehearsal.cases", "--data-root", str(root.root), "--seed", str(module.params["seed"])],
        cwd=module.params["project"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode != 0:
        raise BadInput(
            "rehearsal cases",
            found=(done.stderr.strip().splitlines() or ["no word"])[-1],
            need="the generator to end without an error",
            next_step=f"look at {root.root}, then invoke go",
        )
    return {"changed": True, "generated": True}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "data_root": {"type": "path", "required": True},
            "project": {"type": "path", "required": True},
            "seed": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: work(module))


if __name__ == "__main__":
    main()
