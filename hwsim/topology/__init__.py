"""Topology files: from YAML to a frozen `Topology`; builds nothing."""
