variable "name" {
  description = "Prefix of the key aliases, as in alias/NAME/KEY."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,30}$", var.name))
    error_message = "name must be 3 to 31 lower-case letters, digits or hyphens and start with a letter, for example \"ecap-dev\"."
  }
}

variable "keys" {
  description = "Keys by purpose. via_services: short names (\"ec2\", \"rds\") through which any principal of the account may use the key. service_principals: services that use it on their own (\"cloudwatch.amazonaws.com\"). log_groups: CloudWatch Logs may use it. A key costs 1 USD a month."
  type = map(object({
    description        = string
    via_services       = optional(list(string), [])
    service_principals = optional(list(string), [])
    log_groups         = optional(bool, false)
  }))

  validation {
    condition     = length(var.keys) > 0
    error_message = "keys is empty: give at least one key, for example { main = { description = \"All data of this environment\" } }."
  }

  validation {
    condition     = alltrue(flatten([for k in var.keys : [for s in k.via_services : !strcontains(s, ".")]]))
    error_message = "via_services takes short service names such as \"ec2\" or \"rds\"; the region and domain are added."
  }
}

variable "rotation_days" {
  description = "Days between rotations of the key material."
  type        = number
  default     = 365

  validation {
    condition     = var.rotation_days >= 90 && var.rotation_days <= 2560
    error_message = "rotation_days must be 90 to 2560, as KMS allows."
  }
}

variable "deletion_window_days" {
  description = "Days during which a deleted key can still be saved. What it encrypted is unreadable afterwards."
  type        = number
  default     = 30

  validation {
    condition     = var.deletion_window_days >= 7 && var.deletion_window_days <= 30
    error_message = "deletion_window_days must be 7 to 30, as KMS allows; keep 30 unless the data can be lost."
  }
}
