"""The paper's figures, drawn from a network and images at hand."""
