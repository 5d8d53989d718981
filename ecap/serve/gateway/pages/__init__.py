"""Pages of no single service: the index, the documents, readiness of the whole."""
