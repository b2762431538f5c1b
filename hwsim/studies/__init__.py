"""Experiments on claims and designs."""
