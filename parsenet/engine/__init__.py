"""Training and scoring with Lightning: the module, the data, the optimiser, the guards, a run."""
