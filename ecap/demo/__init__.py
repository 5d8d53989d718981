"""Shoppers over HTTP, and the books of every stage compared to the cent."""
