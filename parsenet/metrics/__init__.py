"""Scores of a whole data set: count pixels in a confusion matrix, then turn counts into numbers."""
