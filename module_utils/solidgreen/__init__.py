"""The core of the qualification: pure functions and small objects, no Ansible import.

Ansible bundles it to hosts as ``ansible.module_utils.solidgreen``; tasks, scripts, filters and tests
import the same files as ``solidgreen``.
"""
