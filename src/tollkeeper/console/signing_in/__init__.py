"""Accounts: who signs in, how, and where they are signed in."""
