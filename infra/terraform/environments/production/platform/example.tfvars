# Copy to terraform.tfvars and fill in. The checks plan with these.
account_id     = "123456789012"
admin_role_arn = "arn:aws:iam::123456789012:role/ecap-admin"
alarm_emails   = ["ops@example.com"]
