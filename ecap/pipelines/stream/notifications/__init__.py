"""One notification per order event, delivered by e-mail and webhook."""
