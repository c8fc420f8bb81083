#!/usr/bin/python
"""Probe services over TCP, HTTP, PostgreSQL and Redis."""

DOCUMENTATION = r"""
module: day3_probe_info
short_description: See whether services really answer
description:
  - Runs all probes side by side and returns one check a probe, with what was seen, what was needed and how to go on.
  - HTTP answers are read, not only counted; a 200 whose body says C("status":"error") does not pass.
  - A redirect is not followed, a proxy of the environment not used, and every call ends at its timeout.
  - A probe that does not pass does not fail the module; the conclusion of the phase judges.
options:
  probes:
    description: What to look at.
    type: list
    elements: dict
    required: true
    suboptions:
      id:
        description: Name of the check.
        type: str
        required: true
      type:
        description: How to ask.
        type: str
        choices: [tcp, http, postgres, redis]
        required: true
      title:
        description: What the check is about, in words.
        type: str
      host:
        description: Host of a V(tcp), V(postgres) or V(redis) probe; 127.0.0.1 when left out.
        type: str
      port:
        description: Port of a V(tcp), V(postgres) or V(redis) probe.
        type: int
      url:
        description: URL of an V(http) probe.
        type: str
      method:
        description: HTTP method; GET when left out.
        type: str
      headers:
        description: HTTP headers to send.
        type: dict
      body:
        description: HTTP body to send.
        type: str
      connect_to:
        description: C(host:port) to connect to instead of the URL's host, which stays in C(Host) and in TLS.
        type: str
      ca_file:
        description: Certificates to trust instead of the system's.
        type: path
      expect_status:
        description: Statuses that pass; 200 when left out.
        type: list
        elements: int
      expect_json:
        description: Dotted keys of the JSON body with the value needed, or a list of allowed values.
        type: dict
      expect_json_keys:
        description: Dotted keys that need only be there.
        type: list
        elements: str
      expect_content_type:
        description: Content type needed, without parameters.
        type: str
      allow:
        description: Methods that the C(Allow) header must name.
        type: str
      user:
        description: Log in to PostgreSQL as this user and run C(select 1); without it only readiness is seen.
        type: str
      password:
        description: Password of PostgreSQL or Redis.
        type: str
      password_file:
        description: File to read the password from.
        type: path
      dbname:
        description: Database to log in to.
        type: str
      timeout:
        description: Seconds for the whole call; 5 when left out.
        type: float
      needed:
        description: What is needed, in words.
        type: str
      next_step:
        description: What to do when it does not pass; by its cause when left out.
        type: str
      owner:
        description: Role that repairs it.
        type: str
      exit_code:
        description: Exit code that this check alone leads to when it does not pass.
        type: int
  attempts:
    description: How often a probe is tried until it passes.
    type: int
    default: 1
  delay:
    description: Seconds between two tries.
    type: float
    default: 1
  journal:
    description: Journal of the running phase.
    type: path
attributes:
  check_mode:
    support: full
    description: Nothing is changed by looking, so it looks; only the journal is left alone.
  diff_mode:
    support: none
    description: There is nothing to compare.
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: Look at the API, at PostgreSQL and at Redis
  day3_probe_info:
    attempts: 3
    probes:
      - id: healthz
        type: http
        url: http://127.0.0.1:8000/healthz
        expect_json: {status: ok}
      - id: validate-answers
        type: http
        url: http://127.0.0.1:8000/api/validate/
        expect_status: [405]
        allow: POST
      - {id: postgres, type: postgres, port: 5432, user: lcopilot, password_file: "{{ stack_state_dir }}/password"}
      - {id: redis, type: redis, port: 6379}
"""

RETURN = r"""
checks:
  description: One check a probe, in their order.
  returned: success
  type: list
  elements: dict
passed:
  description: Whether every check passed; false when there was none.
  returned: success
  type: bool
failed_ids:
  description: Ids of the checks that did not pass.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import JOURNAL, finish, journal
from ansible.module_utils.solidgreen.check import Status, overall
from ansible.module_utils.solidgreen.clock import SystemClock
from ansible.module_utils.solidgreen.probe import TYPES, Probe, look_all

PROBE = {
    "id": {"type": "str", "required": True},
    "type": {"type": "str", "choices": list(TYPES), "required": True},
    "port": {"type": "int"},
    "headers": {"type": "dict"},
    "ca_file": {"type": "path"},
    "expect_status": {"type": "list", "elements": "int"},
    "expect_json": {"type": "dict"},
    "expect_json_keys": {"type": "list", "elements": "str", "no_log": False},
    "password": {"type": "str", "no_log": True},
    "password_file": {"type": "path", "no_log": False},
    "timeout": {"type": "float"},
    "exit_code": {"type": "int"},
    **{name: {"type": "str"} for name in ("title", "host", "url", "method", "body", "connect_to")},
    **{name: {"type": "str"} for name in ("expect_content_type", "allow", "user", "dbname")},
    **{name: {"type": "str"} for name in ("needed", "next_step", "owner")},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        {
            "probes": {"type": "list", "elements": "dict", "required": True, "options": PROBE},
            "attempts": {"type": "int", "default": 1},
            "delay": {"type": "float", "default": 1},
            **JOURNAL,
        },
        supports_check_mode=True,
    )

    def work() -> dict:
        probes = [Probe.from_dict(value) for value in module.params["probes"]]
        options = {name: module.params[name] for name in ("attempts", "delay")}
        checks = look_all(probes, clock=SystemClock(), **options)
        return {
            "changed": False,
            "checks": journal(module, checks),
            "passed": overall(check.status for check in checks) is Status.PASS,
            "failed_ids": [check.id for check in checks if check.status is not Status.PASS],
        }

    finish(module, work)


if __name__ == "__main__":
    main()
