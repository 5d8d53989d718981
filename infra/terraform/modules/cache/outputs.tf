output "address" {
  description = "Host name of the primary; it follows a failover."
  value       = aws_elasticache_replication_group.this.primary_endpoint_address
}

output "port" {
  description = "Port of Valkey."
  value       = var.port
}

output "url" {
  description = "Address for RAY_REDIS_ADDRESS: TLS, without the token."
  value       = "rediss://${aws_elasticache_replication_group.this.primary_endpoint_address}:${var.port}"
}

output "token_secret_arn" {
  description = "Secret that holds the token."
  value       = aws_secretsmanager_secret.token.arn

  depends_on = [aws_secretsmanager_secret_version.token]
}
