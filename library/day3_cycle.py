#!/usr/bin/python
"""Open a cycle and register what it decides over."""

DOCUMENTATION = r"""
module: day3_cycle
short_description: Open a cycle, or register what it decides over
description:
  - C(open) snapshots the results, verifies the snapshot, and opens a cycle or takes the lease of the one that is open.
    With O(new) the files of the previous cycle are cleared from the top level after the snapshot holds them.
  - C(registered) writes the digest of every input into the cycle before its first request; later it compares, and
    refuses by name what has changed.
  - After a failed run a new cycle needs O(fix) and at least one changed digest.
attributes:
  check_mode:
    support: full
    description: Tells what would happen; refuses what would be refused; writes nothing.
  diff_mode:
    support: none
    description: The cycle file is evidence, not configuration.
options:
  state:
    description: What is asked for.
    type: str
    choices: [open, registered]
    required: true
  data_root:
    description: Folder C(data/day3) of the target.
    type: path
    required: true
  env:
    description: Name of the environment.
    type: str
    default: ""
  inventory:
    description: Path of the inventory, so that a rollback finds the environment of the active cycle.
    type: str
    default: ""
  new:
    description: Start a new cycle although one is open.
    type: bool
    default: false
  fix:
    description: What was changed since the failed run.
    type: str
  lease_minutes:
    description: How long the lease holds when its holder cannot be looked at from here.
    type: float
    default: 90
  registry:
    description: Folder that notes which data roots have an open cycle.
    type: path
  target_url:
    description: >-
      The validation endpoint that is judged. Required for C(registered). What it is, whether it is a rehearsal and
      whether stub mode is on is its own word at C(/health/info) of the same origin; the inventory has no say.
    type: str
  refuse:
    description: >-
      Whether C(registered) refuses changed inputs. After a run it must not: what changed then is a finding about the
      run, and the gates say so.
    type: bool
    default: true
  token:
    description: Bearer token for the target, where it wants one.
    type: str
  inputs:
    description: What the decision is taken over.
    type: dict
    required: true
    suboptions:
      manifest:
        description: The data set's manifest.
        type: path
        required: true
      files:
        description: Single files by name, C(policy), C(verdict_map), C(request_template) and the user's own C(plan).
        type: dict
        required: true
      config_files:
        description: Environment and compose files of the stack.
        type: list
        elements: path
        default: []
      settings:
        description: Further settings the stack is started with. No secrets; they are written down.
        type: dict
        default: {}
      images:
        description: Service to image id. Empty while the stack is down.
        type: dict
        default: {}
      target:
        description: Which API is judged.
        type: dict
        required: true
      pacing:
        description: Interval, retries and overlap of the runs.
        type: dict
        required: true
      checkouts:
        description: Git checkouts by name, this project's own first.
        type: dict
        required: true
  journal:
    description: Journal of the running phase.
    type: path
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: Open a cycle
  day3_cycle:
    state: open
    data_root: "{{ cycle_data_root }}"
    env: rehearsal
    inputs: "{{ cycle_inputs }}"
"""

RETURN = r"""
cycle_id:
  description: Name of the open cycle.
  type: str
  returned: always
digests:
  description: Digests of the inputs as they are now, by name.
  type: dict
  returned: state is registered
checks:
  description: Snapshot and lease, or the comparison with the registration.
  type: list
  elements: dict
  returned: always
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import JOURNAL, finish, holder, journal
from ansible.module_utils.solidgreen import cycle, inputs, jsonio, restore
from ansible.module_utils.solidgreen.check import Check, Status
from ansible.module_utils.solidgreen.clock import SystemClock, stamp
from ansible.module_utils.solidgreen.paths import DataRoot

INPUTS = {
    "manifest": {"type": "path", "required": True},
    "files": {"type": "dict", "required": True},
    "config_files": {"type": "list", "elements": "path", "default": []},
    "settings": {"type": "dict", "default": {}},
    "images": {"type": "dict", "default": {}},
    "target": {"type": "dict", "required": True},
    "pacing": {"type": "dict", "required": True},
    "checkouts": {"type": "dict", "required": True},
}


def fingerprint(root: DataRoot, given: dict[str, Any]) -> inputs.Fingerprint:
    """Return the digests of the inputs the module was given."""
    return inputs.fingerprint(
        root,
        manifest_path=Path(given["manifest"]),
        files={name: Path(path) for name, path in given["files"].items() if path},
        config_files=[Path(path) for path in given["config_files"]],
        settings=given["settings"],
        images=given["images"],
        target=given["target"],
        pacing=given["pacing"],
        checkouts={name: Path(path) for name, path in given["checkouts"].items() if path},
    )


def opened(module: AnsibleModule, root: DataRoot) -> dict[str, Any]:
    """Archive what is there, then open the cycle or take its lease."""
    params, clock = module.params, SystemClock()
    current = cycle.load(root)
    digests = fingerprint(root, params["inputs"]).digests
    fresh = current is None or params["new"]
    if current is not None and params["new"]:
        history = [*current["previous"], cycle.summary(root, current)]
        cycle.require_fix(history, params["fix"], digests, final=False)
    if module.check_mode:
        return {"changed": fresh, "cycle_id": None if fresh else current["cycle_id"], "checks": []}
    if current is not None:
        cycle.take(root, holder(), minutes=params["lease_minutes"], clock=clock)
    folder = root.results / str((current or {}).get("snapshot"))
    taken = fresh or not folder.is_dir()
    if taken:
        folder = restore.take_snapshot(root, clock=clock)
    snapshot = restore.verify_snapshot(folder, clock=clock)
    if snapshot.status is not Status.PASS:
        return {"changed": taken, "cycle_id": (current or {}).get("cycle_id"), "checks": journal(module, [snapshot])}
    created = cycle.open_cycle(
        root,
        env=params["env"],
        inventory=params["inventory"],
        holder=holder(),
        minutes=params["lease_minutes"],
        snapshot=folder.name,
        new=params["new"],
        fix=params["fix"],
        digests=digests,
        clock=clock,
    )
    if params["registry"]:
        cycle.announce(Path(params["registry"]), root)
    now = cycle.require(root)
    lease = Check(
        id="lease",
        title="One cycle at a time",
        status=Status.PASS,
        seen=f"{now['cycle_id']} held by {now['lease']['owner']} until {now['lease']['expires_at']}",
        needed="the lease of the cycle",
        owner="CTO",
        at=stamp(clock.now()),
    )
    return {
        "changed": created or taken,
        "cycle_id": now["cycle_id"],
        "checks": journal(module, [lease, snapshot]),
    }


def registered(module: AnsibleModule, root: DataRoot) -> dict[str, Any]:
    """Register the inputs, or compare them with what was registered."""
    params, clock = module.params, SystemClock()
    identity = inputs.identity(params["target_url"], token=params["token"])
    if params["refuse"]:
        inputs.require_real(identity)
        inputs.require_same_target({n: jsonio.read_json_or_none(root.phase(n)) for n in (1, 2)}, identity)
    target = {**params["inputs"]["target"], "url": params["target_url"], **identity}
    given = fingerprint(root, {**params["inputs"], "target": target})
    facts = {**given.facts, "rehearsal": identity["rehearsal"]}
    if module.check_mode:
        return {"changed": cycle.require(root)["registration"] is None, "cycle_id": None, "digests": {}, "checks": []}
    changed = params["refuse"] and cycle.register(root, digests=dict(given.digests), facts=facts, clock=clock)
    vmap = params["inputs"]["files"].get("verdict_map")
    if changed and vmap:  # the verdicts are derived again by this copy whenever the evidence is judged
        jsonio.write_bytes(root.verdict_map, Path(vmap).read_bytes())
    now = cycle.require(root)
    differing = cycle.drifted(now, given.digests)
    when = "registered" if changed else f"as registered at {(now['registration'] or {}).get('at')}"
    check = Check(
        id="registration-unchanged",
        title="Inputs are the registered ones",
        status=Status.FAIL if differing else Status.PASS,
        seen=f"{', '.join(differing)} changed" if differing else f"{len(given.digests)} digests {when}",
        needed="every input registered before the first request, and unchanged since",
        next_step='invoke go --new-cycle --fix "what was changed"' if differing else "",
        exit_code=14 if differing else None,
        owner="QA Lead",
        at=stamp(clock.now()),
        facts={"digests": dict(given.digests)},
    )
    return {
        "changed": changed,
        "cycle_id": now["cycle_id"],
        "digests": dict(given.digests),
        "checks": journal(module, [check]),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["open", "registered"], "required": True},
            "data_root": {"type": "path", "required": True},
            "env": {"type": "str", "default": ""},
            "inventory": {"type": "str", "default": ""},
            "new": {"type": "bool", "default": False},
            "fix": {"type": "str"},
            "lease_minutes": {"type": "float", "default": 90},
            "registry": {"type": "path"},
            "target_url": {"type": "str"},
            "refuse": {"type": "bool", "default": True},
            "token": {"type": "str", "no_log": True},
            "inputs": {"type": "dict", "required": True, "options": INPUTS},
            **JOURNAL,
        },
        required_if=[("state", "registered", ["target_url"])],
        supports_check_mode=True,
    )
    work = opened if module.params["state"] == "open" else registered
    finish(module, lambda: work(module, DataRoot(Path(module.params["data_root"]))))


if __name__ == "__main__":
    main()
