"""From checkpoint and pictures to label maps and the files that hold them."""
