"""Sweeps: a study asks one question, varies a topology over a grid, and answers from the rows."""
