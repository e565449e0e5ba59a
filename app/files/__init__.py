"""Results become files to take away."""
