variable "name" {
  description = "Prefix of the secret names: NAME/SECRET."
  type        = string
}

variable "secrets" {
  description = "Secrets by name, each with what it holds and who puts it there. A secret costs 0.40 USD a month."
  type        = map(string)

  validation {
    condition     = alltrue([for text in values(var.secrets) : length(text) >= 10])
    error_message = "Say in each secret's text what it holds and who puts it there, in ten characters or more."
  }
}

variable "kms_key_arn" {
  description = "Key of the secrets."
  type        = string
}

variable "recovery_days" {
  description = "Days during which a deleted secret can be restored; 0 deletes at once, for environments that come and go."
  type        = number
  default     = 30

  validation {
    condition     = var.recovery_days == 0 || (var.recovery_days >= 7 && var.recovery_days <= 30)
    error_message = "recovery_days must be 0 or 7 to 30."
  }
}
