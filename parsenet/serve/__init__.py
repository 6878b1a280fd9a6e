"""A local web page and a JSON endpoint that label the images they are given."""
