#!/usr/bin/python
"""Survey the routes of the production edge."""

DOCUMENTATION = r"""
module: day3_route_info
short_description: Check routes, their response types and rewrites over several cycles
description:
  - Asks every route in every cycle for its status and its type; a page of the site on an API path does not pass.
  - Proves a rewrite by asking the app's and the API's host the same, also for a path that nobody has deployed.
  - Reads how long the certificate of every host reached by TLS is still valid.
  - A 429 is waited out once, as long as its Retry-After says; after that the check is inconclusive.
  - A check that does not pass does not fail the module; the conclusion of the phase judges.
options:
  routes:
    description: The routes to ask.
    type: list
    elements: dict
    required: true
    suboptions:
      id:
        description: Name of the check.
        type: str
        required: true
      url:
        description: Full URL.
        type: str
        required: true
      method:
        description: HTTP method; GET when left out.
        type: str
      connect_to:
        description: C(host:port) to connect to instead of the URL's host, which stays in C(Host) and in TLS.
        type: str
      expect_status:
        description: Statuses that pass; 200 when left out.
        type: list
        elements: int
      kind:
        description: Type the answer must have; V(json) when left out.
        type: str
        choices: [json, html, any]
      keys:
        description: Dotted keys that the JSON body must have.
        type: list
        elements: str
      allow:
        description: Methods that the C(Allow) header must name.
        type: str
      owner:
        description: Role that repairs it.
        type: str
      next_step:
        description: What to do when it does not pass; by its cause when left out.
        type: str
  rewrites:
    description: Paths that the app's host must hand to the API.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: Name of the check.
        type: str
        required: true
      app_url:
        description: The path on the app's host; with a slash at its end an unknown path below it is tried as well.
        type: str
        required: true
      api_url:
        description: The same path on the API's host.
        type: str
        required: true
      connect_to:
        description: C(host:port) to connect to for both hosts.
        type: str
      owner:
        description: Role that repairs it.
        type: str
      next_step:
        description: What to do when it does not pass.
        type: str
  cycles:
    description: How often everything is asked.
    type: int
    default: 3
  delay:
    description: Seconds between two cycles; the API counts requests a minute.
    type: float
    default: 0
  timeout:
    description: Seconds for one request.
    type: float
    default: 10
  min_days:
    description: Days that a certificate must still be valid.
    type: float
    default: 14
  ca_file:
    description: Certificates to trust instead of the system's.
    type: path
    default: ""
  output:
    description: File that every answer is written to with its time, apart from the local checks.
    type: path
  journal:
    description: Journal of the running phase.
    type: path
attributes:
  check_mode:
    support: full
    description: Nothing is changed by asking, so it asks; O(output) and the journal are left alone.
  diff_mode:
    support: none
    description: There is nothing to compare.
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: Survey the production routes
  day3_route_info:
    cycles: 5
    delay: 60
    routes:
      - {id: api-healthz, url: "https://api.trdrhub.com/healthz", keys: [status]}
      - {id: api-validate, url: "https://api.trdrhub.com/api/validate/", expect_status: [405], allow: POST}
      - {id: app, url: "https://app.trdrhub.com/", kind: html}
    rewrites:
      - id: app-rewrite
        app_url: https://app.trdrhub.com/api/validate/
        api_url: https://api.trdrhub.com/api/validate/
"""

RETURN = r"""
checks:
  description: One check a route, a rewrite and a TLS host.
  returned: success
  type: list
  elements: dict
passed:
  description: Whether every check passed; false when there was none.
  returned: success
  type: bool
seen:
  description: Every answer with its time, cycle, status, type and fingerprint.
  returned: success
  type: list
  elements: dict
"""

import secrets
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import JOURNAL, finish, journal
from ansible.module_utils.solidgreen.check import Status, overall
from ansible.module_utils.solidgreen.clock import SystemClock
from ansible.module_utils.solidgreen.jsonio import write_json
from ansible.module_utils.solidgreen.routes import MEDIA_TYPES, RewriteSpec, RouteSpec, survey

COMMON = {
    "id": {"type": "str", "required": True},
    **{name: {"type": "str"} for name in ("connect_to", "owner", "next_step")},
}
ROUTE = {
    **COMMON,
    "url": {"type": "str", "required": True},
    "method": {"type": "str"},
    "expect_status": {"type": "list", "elements": "int"},
    "kind": {"type": "str", "choices": list(MEDIA_TYPES)},
    "keys": {"type": "list", "elements": "str", "no_log": False},
    "allow": {"type": "str"},
}
REWRITE = {**COMMON, "app_url": {"type": "str", "required": True}, "api_url": {"type": "str", "required": True}}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        {
            "routes": {"type": "list", "elements": "dict", "required": True, "options": ROUTE},
            "rewrites": {"type": "list", "elements": "dict", "default": [], "options": REWRITE},
            "cycles": {"type": "int", "default": 3},
            "delay": {"type": "float", "default": 0},
            "timeout": {"type": "float", "default": 10},
            "min_days": {"type": "float", "default": 14},
            "ca_file": {"type": "path", "default": ""},
            "output": {"type": "path"},
            **JOURNAL,
        },
        supports_check_mode=True,
    )

    def work() -> dict:
        params = module.params
        options = {name: params[name] for name in ("cycles", "delay", "timeout", "min_days", "ca_file")}
        found = survey(
            [RouteSpec.from_dict(value) for value in params["routes"]],
            [RewriteSpec.from_dict(value) for value in params["rewrites"]],
            clock=SystemClock(),
            nonce=f"rewrite-probe-{secrets.token_hex(4)}",
            **options,
        )
        if params["output"] and not module.check_mode:
            write_json(Path(params["output"]), {"schema": "solidgreen/routes/1", **vars(found)})
        return {
            "changed": False,
            "checks": journal(module, found.checks),
            "passed": overall(check.status for check in found.checks) is Status.PASS,
            "seen": found.seen,
        }

    finish(module, work)


if __name__ == "__main__":
    main()
