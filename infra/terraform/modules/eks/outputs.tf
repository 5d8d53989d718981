output "name" {
  description = "Name of the cluster."
  value       = aws_eks_cluster.this.name
}

output "arn" {
  description = "ARN of the cluster."
  value       = aws_eks_cluster.this.arn
}

output "endpoint" {
  description = "URL of the Kubernetes API."
  value       = aws_eks_cluster.this.endpoint
}

output "certificate_authority" {
  description = "Certificate of the Kubernetes API, PEM in base64."
  value       = one(aws_eks_cluster.this.certificate_authority[*].data)
}

output "cluster_security_group_id" {
  description = "Group that EKS made for control plane and nodes."
  value       = one(aws_eks_cluster.this.vpc_config[*].cluster_security_group_id)
}

output "oidc_issuer" {
  description = "Issuer of service account tokens, for a Vault outside that verifies them itself."
  value       = try(aws_eks_cluster.this.identity[0].oidc[0].issuer, null)
}

output "node_role_name" {
  description = "Role of the nodes; Karpenter's nodes use it too."
  value       = aws_iam_role.node.name

  depends_on = [aws_iam_role_policy_attachment.node]
}

output "node_role_arn" {
  description = "ARN of the nodes' role, known once it may do what nodes need."
  value       = aws_iam_role.node.arn

  depends_on = [aws_iam_role_policy_attachment.node]
}

output "workload_role_arns" {
  description = "Role ARNs by workload."
  value       = { for workload, role in aws_iam_role.workload : workload => role.arn }
}

output "access_policy_associations" {
  description = "Ids of the access grants. Whatever works in the cluster must wait for them and be destroyed before them (terraform-aws-eks #2903, #3005)."
  value       = { for name, association in aws_eks_access_policy_association.this : name => association.id }
}

output "ready" {
  description = "The cluster's name, once nodes and add-ons stand and access is granted: install nothing earlier."
  value       = aws_eks_cluster.this.name

  depends_on = [
    aws_eks_access_policy_association.this,
    aws_eks_addon.after_nodes,
    aws_eks_node_group.this,
    aws_eks_pod_identity_association.workload,
  ]
}
