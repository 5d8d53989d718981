output "identifier" {
  description = "Identifier of the instance."
  value       = aws_db_instance.this.identifier
}

output "address" {
  description = "Host name of the database."
  value       = aws_db_instance.this.address
}

output "port" {
  description = "Port of the database."
  value       = aws_db_instance.this.port
}

output "database_name" {
  description = "Database made with the instance."
  value       = aws_db_instance.this.db_name
}

output "master_secret_arn" {
  description = "Secrets Manager secret with the master password, for the operator who creates users or hands it to Vault."
  value       = one(aws_db_instance.this.master_user_secret[*].secret_arn)
}

output "connect_policy_json" {
  description = "IAM policy that lets a pod log in as one of iam_users."
  value       = data.aws_iam_policy_document.connect.json
}
