"""Networks and losses (torch)."""
