"""The commands, one file each: options by argparse, the work imported inside the function."""
