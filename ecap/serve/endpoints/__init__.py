"""What endpoints are written with: their declaration, their answers, their documents."""
