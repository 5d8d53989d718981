output "cluster_name" {
  description = "EKS cluster, for aws eks update-kubeconfig."
  value       = module.platform.cluster_name
}

output "cluster_endpoint" {
  description = "Kubernetes API."
  value       = module.platform.cluster_endpoint
}

output "access_policy_associations" {
  description = "Who was given access to the Kubernetes API, by name."
  value       = module.platform.access_policy_associations
}

output "parameter_name" {
  description = "SSM parameter that the cluster root reads."
  value       = module.platform.parameter_name
}

output "database_address" {
  description = "Host name of PostgreSQL."
  value       = module.platform.database_address
}

output "database_master_secret_arn" {
  description = "Secret with PostgreSQL's master password."
  value       = module.platform.database_master_secret_arn
}

output "kafka_bootstrap_brokers" {
  description = "Bootstrap servers of MSK; null when Kafka runs in the cluster."
  value       = module.platform.kafka_bootstrap_brokers
}

output "buckets" {
  description = "Data lake buckets by zone."
  value       = module.platform.buckets
}

output "secret_arns" {
  description = "Secrets Manager secrets by name."
  value       = module.platform.secret_arns
}

output "nat_instance_id" {
  description = "NAT instance, for a Session Manager tunnel to the private API; null with other NAT."
  value       = module.platform.nat_instance_id
}

output "ports" {
  description = "Ports of the flows, by name."
  value       = module.platform.ports
}
