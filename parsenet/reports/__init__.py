"""Run folders as tables, pictures and pages that people read."""
