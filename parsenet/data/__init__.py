"""Images and labels: data sets, how their files are read, and what training does to them."""
