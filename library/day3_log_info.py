#!/usr/bin/python
"""Read service logs for what must and must not be in them."""

DOCUMENTATION = r"""
module: day3_log_info
short_description: Check service logs against patterns
description:
  - Reads log files without their colour codes. Each expected pattern is a check, and each log for all critical ones.
  - A log without a line is no evidence; such a check is inconclusive.
  - Lines that are returned have their secrets replaced by C(***).
  - A check that does not pass does not fail the module; the conclusion of the phase judges.
options:
  logs:
    description: The logs to read.
    type: list
    elements: dict
    required: true
    suboptions:
      service:
        description: Name of the service.
        type: str
        required: true
      path:
        description: Its log file.
        type: path
        required: true
      tail:
        description: Read at most this many of its last lines; 0 reads all.
        type: int
        default: 0
      offset:
        description: >-
          Byte to read from, as an earlier call returned it in RV(ignore:offsets) or M(day3_stack) in C(log_offset).
          A file that is shorter by now is read whole.
        type: int
        default: 0
  expect:
    description: >-
      Patterns (regular expressions) that must be found, each a text or a mapping with C(pattern) and optionally C(id),
      C(service), C(title), C(next_step), C(owner).
    type: list
    elements: raw
    default: []
  critical:
    description: Patterns that must not be found, written like O(expect).
    type: list
    elements: raw
    default: []
  since:
    description: Read only lines at or after this ISO time in UTC; a line without a time belongs to the one before it.
    type: str
    default: ""
  journal:
    description: Journal of the running phase.
    type: path
attributes:
  check_mode:
    support: full
    description: Nothing is changed by reading, so it reads; only the journal is left alone.
  diff_mode:
    support: none
    description: There is nothing to compare.
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: See that the API started well and read documents
  day3_log_info:
    logs:
      - {service: api, path: "{{ stack_state_dir }}/logs/api.log", tail: 120}
    expect:
      - Application configuration
      - {id: ocr-path, pattern: 'OCR \d+/\d+\] Completed', service: api, owner: Data/Model Lead}
    critical:
      - Startup issues detected
"""

RETURN = r"""
checks:
  description: One check an expected pattern, then one a log.
  returned: success
  type: list
  elements: dict
passed:
  description: Whether every check passed; false when there was none.
  returned: success
  type: bool
offsets:
  description: Byte to go on from, by service.
  returned: success
  type: dict
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import JOURNAL, finish, journal
from ansible.module_utils.solidgreen import logs
from ansible.module_utils.solidgreen.check import Status, overall
from ansible.module_utils.solidgreen.clock import SystemClock

LOG = {
    "service": {"type": "str", "required": True},
    "path": {"type": "path", "required": True},
    "tail": {"type": "int", "default": 0},
    "offset": {"type": "int", "default": 0},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        {
            "logs": {"type": "list", "elements": "dict", "required": True, "options": LOG},
            "expect": {"type": "list", "elements": "raw", "default": []},
            "critical": {"type": "list", "elements": "raw", "default": []},
            "since": {"type": "str", "default": ""},
            **JOURNAL,
        },
        supports_check_mode=True,
    )

    def work() -> dict:
        params = module.params
        expect = [logs.Expectation.from_value(value, "expect") for value in params["expect"]]
        critical = [logs.Expectation.from_value(value, "critical") for value in params["critical"]]
        since = logs.parse_since(params["since"])
        sources = [logs.Source(**{**value, "path": Path(value["path"])}) for value in params["logs"]]
        texts = [logs.read(source, since) for source in sources]
        checks = logs.look(texts, expect, critical, SystemClock())
        return {
            "changed": False,
            "checks": journal(module, checks),
            "passed": overall(check.status for check in checks) is Status.PASS,
            "offsets": {text.service: text.offset for text in texts},
        }

    finish(module, work)


if __name__ == "__main__":
    main()
