"""The customers' endpoints for webhooks: made, changed, listed, tested."""
