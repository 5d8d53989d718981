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

variable "kubernetes_host" {
  description = "URL of the Kubernetes API when it is reached through a tunnel, for example https://localhost:8443; null: directly."
  type        = string
  default     = null
}

variable "image" {
  description = "Container image of ECAP: repository, and tag (dev) or digest."
  type = object({
    repository = string
    tag        = optional(string)
    digest     = optional(string)
  })
}
