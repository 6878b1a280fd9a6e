"""The paper's figures, drawn from a network and pictures at hand."""
