variable "region" {
  description = "AWS region of the states."
  type        = string
  default     = "us-east-1"
}

variable "account_id" {
  description = "AWS account; Terraform refuses to work in any other."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be the 12 digits of an AWS account."
  }
}

variable "activate_cost_tag" {
  description = "Whether to activate the tag Environment for cost reports. AWS knows a tag only a day after its first use: turn it on then."
  type        = bool
  default     = false
}
