"""ansible-lint with this project's module_utils where Ansible bundles them: its rule ``args`` runs our modules' own specs."""

from __future__ import annotations

import sys
from pathlib import Path

import ansible.module_utils
from ansiblelint.__main__ import main

if __name__ == "__main__":
    ansible.module_utils.__path__.append(str(Path(__file__).resolve().parent.parent / "module_utils"))
    sys.exit(main(["ansible-lint", "--offline", *sys.argv[1:]]))
