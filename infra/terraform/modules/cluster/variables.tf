variable "environment" {
  description = "dev, staging or production: chooses the chart's values file."
  type        = string

  validation {
    condition     = contains(["dev", "staging", "production"], var.environment)
    error_message = "environment must be dev, staging or production."
  }
}

variable "platform" {
  description = "What the platform root published in SSM: addresses and names, no secrets."
  type = object({
    environment           = string
    region                = string
    cluster_name          = string
    cluster_endpoint      = string
    certificate_authority = string
    vpc_id                = string
    database              = object({ address = string, port = number, name = string })
    kafka                 = optional(object({ bootstrap = string }))
    cache                 = optional(object({ url = string, token_secret = string }))
    buckets               = map(string)
    volume_key            = string
    load_balancer_group   = string
    ports                 = map(number)
    karpenter = optional(object({
      queue            = string
      instance_profile = string
      node_groups      = list(string)
      private_subnets  = list(string)
    }))
    vault = optional(object({ in_cluster = bool, seal = optional(string) }))
  })

  validation {
    condition     = var.platform.environment == var.environment
    error_message = "The platform parameter is of another environment than this root: check parameter_name."
  }
}

variable "charts" {
  description = "Folder of ECAP's own charts: deploy/kuberay of this project."
  type        = string
}

variable "image" {
  description = "Container image of ECAP; by digest outside dev, so that every node runs the same."
  type = object({
    repository = string
    tag        = optional(string)
    digest     = optional(string)
  })

  validation {
    condition     = var.environment == "dev" ? (var.image.tag != null || var.image.digest != null) : can(regex("^sha256:[0-9a-f]{64}$", var.image.digest))
    error_message = "image needs a digest (sha256:...) in staging and production, and a tag or digest in dev."
  }
}

variable "versions" {
  description = "Chart versions instead of those in deploy/kuberay/others/charts.yaml. Change one at a time; the operator's must be the one the chart's checks know."
  type = object({
    kuberay_operator      = optional(string)
    karpenter             = optional(string)
    kube_prometheus_stack = optional(string)
  })
  default = {}

  validation {
    condition     = alltrue([for version in values(var.versions) : version == null || can(regex("^[0-9]+\\.[0-9]+\\.[0-9]+$", version))])
    error_message = "versions must be exact, for example \"1.7.0\": a range would change the cluster by itself."
  }
}

variable "monitoring" {
  description = "Prometheus: days kept, disk, memory; full adds Alertmanager and Grafana."
  type = object({
    retention_days = optional(number, 15)
    storage_gib    = optional(number, 50)
    memory         = optional(string, "2Gi")
    full           = optional(bool, true)
  })
  default = {}
}

variable "node_limits" {
  description = "vCPUs that Karpenter may have at most, on spot and on demand: where a mistake stops costing."
  type = object({
    spot_cpu      = optional(number, 64)
    on_demand_cpu = optional(number, 32)
  })
  default = {}

  validation {
    condition     = var.node_limits.spot_cpu >= 4 && var.node_limits.spot_cpu <= 1000 && var.node_limits.on_demand_cpu >= 4 && var.node_limits.on_demand_cpu <= 1000
    error_message = "node_limits must be 4 to 1000 vCPUs each."
  }
}
