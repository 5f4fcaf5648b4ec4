"""Links that are sent to people: to be one of the staff, a member, or to choose a new password."""
