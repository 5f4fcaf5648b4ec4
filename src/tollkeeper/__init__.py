"""Prepaid credits for AI APIs."""
