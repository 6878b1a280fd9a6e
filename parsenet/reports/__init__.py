"""Run folders as tables, images and pages that people read."""
