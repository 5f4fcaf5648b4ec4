"""Customers of a processor, and the ways to pay that they have on file there."""
