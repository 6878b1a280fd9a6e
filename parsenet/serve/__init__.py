"""A local web page and a JSON endpoint that label the pictures they are given."""
