"""Events, money, windows, features and rules: pure and synchronous."""
