output "cluster_name" {
  description = "EKS cluster."
  value       = module.eks.ready
}

output "cluster_endpoint" {
  description = "Kubernetes API."
  value       = module.eks.endpoint
}

output "access_policy_associations" {
  description = "Who was given access to the Kubernetes API, by name: destroyed after everything that needs it."
  value       = module.eks.access_policy_associations
}

output "parameter_name" {
  description = "SSM parameter that the cluster root reads."
  value       = aws_ssm_parameter.published.name
}

output "database_address" {
  description = "Host name of PostgreSQL."
  value       = module.rds.address
}

output "database_master_secret_arn" {
  description = "Secret with PostgreSQL's master password."
  value       = module.rds.master_secret_arn
}

output "kafka_bootstrap_brokers" {
  description = "Bootstrap servers of MSK; null when Kafka runs in the cluster."
  value       = one(module.msk[*].bootstrap_brokers)
}

output "buckets" {
  description = "Data lake buckets by zone."
  value       = module.data_lake.buckets
}

output "secret_arns" {
  description = "Secrets Manager secrets by name."
  value       = module.secrets.arns
}

output "nat_instance_id" {
  description = "NAT instance, for a Session Manager tunnel to the private API; null with other NAT."
  value       = module.vpc.nat_instance_id
}

output "ports" {
  description = "Ports of the flows, by name."
  value       = module.security_groups.ports
}
