"""Commit protocols, one file each: strangers to each other."""
