#!/usr/bin/python
"""Bring the rehearsal stack up, take it down, or restart it."""

DOCUMENTATION = r"""
module: day3_stack
short_description: Run the stack under test
description:
  - Compares what runs with what should run and starts, restarts or ends only what differs.
  - A stale pid, a killed service or a half-started stack is taken over; the answer says why anything was changed.
  - The V(embedded) driver runs PostgreSQL, Redis, the API and the edge as processes on the loopback interface.
options:
  driver:
    description: Who runs the services.
    type: str
    choices: [embedded]
    default: embedded
  project:
    description: Root of the repository whose C(rehearsal) is run.
    type: path
    required: true
  state_dir:
    description: Folder of the stack's record, logs, environment files and data; it is made when missing.
    type: path
    required: true
  state:
    description:
      - V(present) has every service running, healthy and configured as asked.
      - V(absent) ends every process; the data stays unless O(volumes=true).
      - V(restarted) ends and starts O(service), or all services.
    type: str
    choices: [present, absent, restarted]
    default: present
  service:
    description: The only service that O(state=restarted) restarts.
    type: str
    choices: [postgres, redis, api, edge]
  volumes:
    description: With O(state=absent), remove the data as well.
    type: bool
    default: false
  environment:
    description:
      - Variables that go before C(.env) and C(override.env), for instance C(USE_STUBS) or C(REHEARSAL_FAULTS).
      - A changed value restarts the API.
    type: dict
    default: {}
  ports:
    description: Ports by service; C(0) takes a free one. A service that is left out keeps the port it has on record.
    type: dict
    default: {}
  timeout:
    description: Seconds one service may take until it answers.
    type: int
    default: 40
attributes:
  check_mode:
    support: full
    description: Says what would be changed and why, changes nothing.
  diff_mode:
    support: full
    description: Shows every reason as it is and as it would be.
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: Start the stack, or leave it alone when it is healthy
  day3_stack:
    project: "{{ playbook_dir }}/.."
    state_dir: "{{ stack_state_dir }}"

- name: Restart the API alone
  day3_stack:
    project: "{{ playbook_dir }}/.."
    state_dir: "{{ stack_state_dir }}"
    state: restarted
    service: api

- name: End the stack and remove its data
  day3_stack:
    project: "{{ playbook_dir }}/.."
    state_dir: "{{ stack_state_dir }}"
    state: absent
    volumes: true
"""

RETURN = r"""
healthy:
  description: Whether every service runs and answers its health check, after the change.
  returned: success
  type: bool
reasons:
  description: Why something was, or would be, changed.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: "Service and what differs.", type: str}
    current: {description: "How it is.", type: str}
    desired: {description: "How it should be.", type: str}
services:
  description: State, pid, port, restarts, start, log, log offset at the start, image id and settings by service.
  returned: success
  type: dict
endpoints:
  description: URLs of API and edge, address and password file of PostgreSQL and Redis.
  returned: success
  type: dict
stack_id:
  description: The stack's name; it stays the same over restarts.
  returned: success
  type: str
"""

import json
import os
import subprocess
import sys

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import finish
from ansible.module_utils.solidgreen.errors import BadInput, InfrastructureStop

VERBS = {"present": "up", "absent": "down", "restarted": "restart"}


def command(module: AnsibleModule) -> list[str]:
    """Return the command line that does what the parameters ask for."""
    params = module.params
    words = [sys.executable, "-m", "rehearsal", VERBS[params["state"]], "--json"]
    words += ["--state-dir", params["state_dir"], "--timeout", str(params["timeout"])]
    if module.check_mode:
        words.append("--check")
    if params["state"] == "present":
        words += [word for name, port in sorted(params["ports"].items()) for word in ("--port", f"{name}={port}")]
    if params["state"] == "absent" and params["volumes"]:
        words.append("--volumes")
    if params["service"]:
        words += ["--service", params["service"]]
    return words


def text(value: object) -> str:
    """Return a value as an environment variable holds it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def work(module: AnsibleModule) -> dict:
    """Run the command and return its document."""
    words = command(module)
    environment = {name: text(value) for name, value in module.params["environment"].items()}
    step = f"run it by hand: cd {module.params['project']!r} && python -m rehearsal status"
    try:
        done = subprocess.run(  # noqa: S603 - our own command line
            words,
            cwd=module.params["project"],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=module.params["timeout"] * 6,
        )
        result = json.loads(done.stdout)
    except OSError as error:
        raise BadInput(
            f"project {module.params['project']}", found=error.strerror, need="the repository's root", next_step=step
        ) from error
    except subprocess.TimeoutExpired as error:
        raise InfrastructureStop(
            "rehearsal stack", found=f"no end after {error.timeout} s", need="an answer", next_step=step
        ) from error
    except ValueError as error:
        said = " ".join(done.stderr.split()[-40:]) or "nothing"
        raise InfrastructureStop(
            "rehearsal stack", found=f"code {done.returncode}: {said}", need="one JSON document", next_step=step
        ) from error
    if result.get("failed"):
        facts = result["error"]
        kind = BadInput if result["exit_code"] == BadInput.exit_code else InfrastructureStop
        raise kind(facts["subject"], found=facts["found"], need=facts["need"], next_step=facts["next"])
    if module._diff:
        sides = (("before", "current"), ("after", "desired"))
        result["diff"] = {side: {row["name"]: row[key] for row in result["reasons"]} for side, key in sides}
    return result


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        {
            "driver": {"type": "str", "choices": ["embedded"], "default": "embedded"},
            "project": {"type": "path", "required": True},
            "state_dir": {"type": "path", "required": True},
            "state": {"type": "str", "choices": list(VERBS), "default": "present"},
            "service": {"type": "str", "choices": ["postgres", "redis", "api", "edge"]},
            "volumes": {"type": "bool", "default": False},
            "environment": {"type": "dict", "default": {}},
            "ports": {"type": "dict", "default": {}},
            "timeout": {"type": "int", "default": 40},
        },
        supports_check_mode=True,
    )
    if module.params["service"] and module.params["state"] != "restarted":
        module.fail_json(msg="service: found it without state: restarted, need both or neither", exit_code=13)
    finish(module, lambda: work(module))


if __name__ == "__main__":
    main()
