"""Results become HTML; every text that is not ours is escaped here."""
