# Copy to terraform.tfvars and fill in. The checks plan with these.
account_id = "123456789012"
