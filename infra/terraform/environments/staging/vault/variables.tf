variable "region" {
  description = "AWS region of the platform."
  type        = string
  default     = "us-east-1"
}

variable "account_id" {
  description = "AWS account of this environment; Terraform refuses to work in any other."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be the 12 digits of an AWS account."
  }
}

variable "vault_address" {
  description = "URL of Vault as this machine reaches it: its own, or of a port-forward."
  type        = string

  validation {
    condition     = can(regex("^https://|^http://(127\\.0\\.0\\.1|localhost)(:[0-9]+)?$", var.vault_address))
    error_message = "vault_address must begin with https://; plain http only for a port-forward to localhost."
  }
}

variable "auth_mount" {
  description = "Mount of the Kubernetes method: the chart's vault.authMount."
  type        = string
  default     = "kubernetes"
}

variable "kv_mount" {
  description = "Mount of the KV engine, version 2, with ECAP's secrets: the chart's vault.mount."
  type        = string
  default     = "secret"
}
