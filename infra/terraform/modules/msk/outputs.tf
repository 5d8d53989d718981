output "arn" {
  description = "ARN of the cluster."
  value       = one(concat(aws_msk_cluster.this[*].arn, aws_msk_serverless_cluster.this[*].arn))
}

output "name" {
  description = "Name of the cluster, as its metrics carry it."
  value       = var.name
}

output "bootstrap_brokers" {
  description = "Bootstrap servers for SASL/OAUTHBEARER with IAM over TLS, port 9098."
  value       = one(concat(aws_msk_cluster.this[*].bootstrap_brokers_sasl_iam, aws_msk_serverless_cluster.this[*].bootstrap_brokers_sasl_iam))
}

output "client_policy_json" {
  description = "IAM policy for pods that make, read and write ECAP's topics."
  value       = data.aws_iam_policy_document.client.json
}

output "admin_policy_json" {
  description = "IAM policy for operators' tools, which also alter topics and look at groups."
  value       = data.aws_iam_policy_document.admin.json
}
