"""The security log: what services and commands tell, gathered in one table."""
