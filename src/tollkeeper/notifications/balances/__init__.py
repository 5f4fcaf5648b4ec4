"""When a balance is low or used up."""
