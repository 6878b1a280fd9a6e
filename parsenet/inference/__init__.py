"""From checkpoint and images to label maps and the files that hold them."""
