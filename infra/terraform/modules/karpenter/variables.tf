variable "cluster_name" {
  description = "EKS cluster that gets its nodes from Karpenter; prefix of the queue, rules and roles."
  type        = string
}

variable "node_role_name" {
  description = "Role of the nodes that Karpenter starts: the one of the managed groups, so EKS knows it already."
  type        = string
}
