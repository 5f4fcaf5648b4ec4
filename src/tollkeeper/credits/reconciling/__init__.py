"""Comparing the processors' books with ours: every difference is named, with what to do."""
