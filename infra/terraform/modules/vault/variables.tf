variable "cluster_name" {
  description = "EKS cluster whose pods use Vault."
  type        = string
}

variable "in_cluster" {
  description = "Whether Vault runs in the cluster (then it gets the unseal key) or elsewhere (then it gets the way to the API)."
  type        = bool
}

variable "kms_key_arn" {
  description = "Key that unseals a Vault in the cluster; null for one elsewhere."
  type        = string
  default     = null

  validation {
    condition     = var.in_cluster || var.kms_key_arn == null
    error_message = "kms_key_arn is for a Vault in the cluster only: leave it out, an external Vault unseals itself."
  }
}

variable "namespace" {
  description = "Namespace of Vault's pods."
  type        = string
  default     = "vault"
}

variable "service_account" {
  description = "Service account of Vault's pods."
  type        = string
  default     = "vault"
}

variable "cluster_security_group_id" {
  description = "Group of the Kubernetes API, for a Vault elsewhere."
  type        = string
  default     = null
}

variable "external_cidrs" {
  description = "Networks of a Vault elsewhere, by name; joined to the VPC by peering or a transit gateway."
  type        = map(string)
  default     = {}

  validation {
    condition     = var.in_cluster || length(var.external_cidrs) > 0
    error_message = "Name the external Vault's networks in external_cidrs, for example { vault = \"10.90.0.0/24\" }: it reviews tokens at the Kubernetes API."
  }

  validation {
    condition     = alltrue([for cidr in values(var.external_cidrs) : can(cidrnetmask(cidr)) && try(tonumber(split("/", cidr)[1]) >= 16, false)])
    error_message = "external_cidrs must hold IPv4 networks of /16 or smaller."
  }
}
