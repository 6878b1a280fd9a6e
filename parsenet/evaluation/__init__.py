"""Scoring without a network and without torch: label maps on disk, and what a score leaves."""
