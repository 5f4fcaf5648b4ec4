"""What processors tell us: kept word for word, each event once, and acted upon afterwards."""
