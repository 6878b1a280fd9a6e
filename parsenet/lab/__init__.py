"""The reproduction lab: grids of runs, their results, and what they say about the paper."""
