variable "name" {
  description = "Prefix of topic, alarms, budget and dashboard."
  type        = string
}

variable "environment" {
  description = "Value of the tag Environment by which the budget counts."
  type        = string
}

variable "kms_key_arn" {
  description = "Key of the alarm topic; its policy must let cloudwatch and budgets use it."
  type        = string
}

variable "emails" {
  description = "Addresses that get alarms; each must confirm once."
  type        = set(string)

  validation {
    condition     = length(var.emails) > 0 && alltrue([for email in var.emails : can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", email))])
    error_message = "emails needs at least one address: an alarm that nobody hears is none."
  }
}

variable "monthly_budget_usd" {
  description = "Budget of the environment, USD a month; warns at 80 percent spent and when the forecast exceeds it."
  type        = number

  validation {
    condition     = var.monthly_budget_usd > 0
    error_message = "monthly_budget_usd must be more than 0."
  }
}

variable "price_usd" {
  description = "Price of the environment as pricing/price.py computed it, USD a month. The budget may not be lower."
  type        = number
}

variable "nat_instance" {
  description = "NAT instance to watch, by its id; null without one. An object, since whether there is one must be known while planning."
  type        = object({ id = string })
  default     = null
}

variable "interruption_queue_name" {
  description = "Karpenter's interruption queue to watch; null without one."
  type        = string
  default     = null
}

variable "database_identifier" {
  description = "RDS instance on the dashboard; null leaves its row out."
  type        = string
  default     = null
}

variable "kafka_name" {
  description = "MSK cluster on the dashboard; null leaves its row out."
  type        = string
  default     = null
}
