# A Vault elsewhere asks the Kubernetes API whether a pod's token is true: it must reach the API.
resource "aws_vpc_security_group_ingress_rule" "token_review" {
  for_each = var.in_cluster ? {} : var.external_cidrs

  security_group_id = var.cluster_security_group_id
  description       = "Vault ${each.key} reviews tokens"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = each.value
}
