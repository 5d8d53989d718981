# Copy to terraform.tfvars and fill in. The checks plan with these.
account_id = "123456789012"
image      = { repository = "123456789012.dkr.ecr.us-east-1.amazonaws.com/ecap", tag = "dev" }
