"""The network: trunk, L2Norm, global context, fusion heads, weights."""
