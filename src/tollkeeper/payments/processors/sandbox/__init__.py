"""The sandbox: a processor of our own, whose money is not real and whose pages can be clicked."""

from tollkeeper.payments.processors.sandbox.pages import sandbox_pages
from tollkeeper.payments.processors.sandbox.processor import Delivery, SandboxProcessor

__all__ = ["Delivery", "SandboxProcessor", "sandbox_pages"]
