"""Data sets from their sources: download, check, unpack and convert, safe to break off anywhere.

The scripts in `data_tools/` state the facts of one data set; the work is done here.
"""
