output "ids" {
  description = "Group ids by role: load-balancer, nodes, database, kafka, cache."
  value       = { for role, group in aws_security_group.this : role => group.id }

  # What uses a group must not start before its rules stand.
  depends_on = [
    aws_vpc_security_group_ingress_rule.flow,
    aws_vpc_security_group_egress_rule.flow,
  ]
}

output "ports" {
  description = "Ports of the flows by name: the source for containers, NetworkPolicies and data stores."
  value       = local.ports
}
