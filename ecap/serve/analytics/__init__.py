"""Revenue, orders and products over time, as the stream computed them; and live."""
