"""Orders: placed once, decided by fraud, sold from the stock there is."""
