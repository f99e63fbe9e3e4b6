"""Images and labels: how they come in, what they are inside, how they go out."""
