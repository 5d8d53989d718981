"""From what is known of a customer to a decision about a transaction."""
