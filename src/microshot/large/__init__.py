"""Images too large for memory: predicted block by block, resumable, on one machine or many."""
