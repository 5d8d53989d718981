# Copy to terraform.tfvars and fill in. The checks plan with these.
account_id    = "123456789012"
vault_address = "https://vault.example.com:8200"
