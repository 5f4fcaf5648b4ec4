"""Purchases that the balance triggers, and the notices of a balance that falls."""
