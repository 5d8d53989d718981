"""The stock that shoppers see, moved by what happens to orders."""
