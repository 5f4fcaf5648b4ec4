"""Fees that are billed each period: meant, told to the processor, and followed from there."""
