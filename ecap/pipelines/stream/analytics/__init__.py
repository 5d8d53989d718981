"""Revenue, orders and products by minute and hour."""
