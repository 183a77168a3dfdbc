"""What the gallery needs to stand in public."""
