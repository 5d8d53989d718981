variable "environment" {
  description = "dev, staging or production: part of every name, and the tag by which the budget counts."
  type        = string

  validation {
    condition     = contains(["dev", "staging", "production"], var.environment)
    error_message = "environment must be dev, staging or production."
  }
}

variable "ephemeral" {
  description = "Whether the environment may be destroyed with its data, without snapshots or waiting."
  type        = bool
  default     = false

  validation {
    condition     = !(var.ephemeral && var.environment == "production")
    error_message = "production cannot be ephemeral: its data would go with one command."
  }
}

variable "single_key" {
  description = "Whether one KMS key serves all purposes (1 USD a month) instead of three."
  type        = bool
  default     = false
}

variable "network" {
  description = "The VPC: see modules/vpc and modules/security-groups for each value."
  type = object({
    cidr                   = string
    zones                  = list(string)
    nat                    = string
    service_cidr           = optional(string, "172.20.0.0/16")
    reserved_cidrs         = optional(map(string), {})
    interface_endpoints    = optional(set(string), [])
    flow_log_traffic       = optional(string, "ALL")
    client_cidrs           = optional(map(string), {})
    client_prefix_list_ids = optional(map(string), {})
  })
}

variable "cluster" {
  description = "Kubernetes: see modules/eks for each value."
  type = object({
    kubernetes_version  = optional(string, "1.35")
    public_access_cidrs = optional(list(string), [])
    addon_versions = optional(map(string), {
      vpc-cni = null, kube-proxy = null, eks-pod-identity-agent = null, coredns = null, aws-ebs-csi-driver = null
    })
  })
  default = {}
}

variable "node_groups" {
  description = "Managed node groups by name: see modules/eks."
  type = map(object({
    capacity       = string
    instance_types = list(string)
    min            = number
    max            = number
    disk_gib       = optional(number, 20)
    labels         = optional(map(string), {})
    taints         = optional(map(object({ value = string, effect = string })), {})
  }))
}

variable "access_entries" {
  description = "Who may use the Kubernetes API: see modules/eks."
  type = map(object({
    principal_arn = string
    policy        = string
    namespaces    = optional(list(string), [])
  }))
}

variable "karpenter" {
  description = "Whether Karpenter brings the Ray workers; otherwise node_groups must hold a group for them."
  type        = bool

  validation {
    condition     = var.karpenter || anytrue([for g in var.node_groups : g.capacity == "SPOT"])
    error_message = "Without karpenter, node_groups needs a SPOT group for the Ray workers."
  }
}
