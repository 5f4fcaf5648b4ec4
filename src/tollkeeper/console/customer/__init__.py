"""The pages of customers, one file each."""
