output "arns" {
  description = "Secret ARNs by name."
  value       = { for name, secret in aws_secretsmanager_secret.this : name => secret.arn }
}

output "read_policy_json" {
  description = "IAM policies by secret name that let a pod read that one secret."
  value       = { for name, document in data.aws_iam_policy_document.read : name => document.json }
}
