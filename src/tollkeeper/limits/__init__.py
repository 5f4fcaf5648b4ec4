"""How much may be used, of what, in which time: budgets and rates."""
