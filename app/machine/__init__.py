"""What this server allows, computes with and keeps; it knows no page and no HTML."""
