variable "node_security_group_ids" {
  description = "Groups that nodes carry besides the cluster's own: the source of the flows to the data stores."
  type        = list(string)
}

variable "node_groups" {
  description = "Managed node groups by name: capacity ON_DEMAND or SPOT, instance types of one processor kind, size, disk, labels and taints (by key)."
  type = map(object({
    capacity       = string
    instance_types = list(string)
    min            = number
    max            = number
    disk_gib       = optional(number, 20)
    labels         = optional(map(string), {})
    taints = optional(map(object({
      value  = string
      effect = string
    })), {})
  }))

  validation {
    condition     = anytrue([for g in var.node_groups : g.capacity == "ON_DEMAND" && g.min >= 1])
    error_message = "node_groups needs a group with capacity ON_DEMAND and min 1 or more: operators and the Ray head must not stand on spot."
  }

  validation {
    condition     = alltrue([for g in var.node_groups : contains(["ON_DEMAND", "SPOT"], g.capacity) && g.max >= g.min && g.min >= 0])
    error_message = "node_groups: capacity must be ON_DEMAND or SPOT, and 0 <= min <= max."
  }

  validation {
    condition     = alltrue([for g in var.node_groups : g.capacity != "SPOT" || length(distinct(g.instance_types)) >= 10])
    error_message = "A SPOT group needs at least 10 different instance_types: with fewer, one empty pool takes all its nodes at once. Add sizes and generations."
  }

  validation {
    condition = alltrue([
      for g in var.node_groups : length(distinct([for t in g.instance_types : can(regex("^[a-z]+[0-9]+g[a-z]*\\.", t))])) == 1
    ])
    error_message = "The instance_types of a group must be all Graviton (m7g, r8g, t4g ...) or none: a group has one machine image."
  }

  validation {
    condition     = alltrue(flatten([for g in var.node_groups : [for t in values(g.taints) : contains(["NO_SCHEDULE", "NO_EXECUTE", "PREFER_NO_SCHEDULE"], t.effect)]]))
    error_message = "The effect of a taint must be NO_SCHEDULE, NO_EXECUTE or PREFER_NO_SCHEDULE."
  }

  validation {
    condition     = alltrue([for g in var.node_groups : g.disk_gib >= 20])
    error_message = "disk_gib must be 20 or more: the system and one Ray image fill less."
  }
}

variable "access_entries" {
  description = "Who may use the Kubernetes API, by name: an IAM role, an EKS access policy and the namespaces it holds for (empty: all)."
  type = map(object({
    principal_arn = string
    policy        = string
    namespaces    = optional(list(string), [])
  }))

  validation {
    condition     = anytrue([for e in var.access_entries : e.policy == "AmazonEKSClusterAdminPolicy" && length(e.namespaces) == 0])
    error_message = "access_entries needs one entry with AmazonEKSClusterAdminPolicy for the whole cluster: otherwise nobody can install anything in it."
  }

  validation {
    condition     = alltrue([for e in var.access_entries : can(regex("^arn:[^:]+:iam::[0-9]{12}:(role|user)/", e.principal_arn))])
    error_message = "principal_arn must be the ARN of an IAM role or user, not of an assumed-role session."
  }
}

variable "workloads" {
  description = "Service accounts that get an AWS role by Pod Identity: namespace, service account and policies (JSON by name)."
  type = map(object({
    namespace       = string
    service_account = string
    policies        = map(string)
  }))
  default = {}
}
