variable "region" {
  description = "AWS region. Prices and zones are those of us-east-1; see the README before changing it."
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

variable "admin_role_arn" {
  description = "IAM role that administers the cluster: the one that applies the cluster root."
  type        = string
}

variable "alarm_emails" {
  description = "Addresses that get alarms and budget warnings."
  type        = set(string)
}

variable "monthly_budget_usd" {
  description = "Budget, USD a month; a budget under the price is refused."
  type        = number
  default     = 2500
}

variable "public_access_cidrs" {
  description = "Networks (/24 or smaller) that may reach the Kubernetes API from outside. Empty: VPN, or Session Manager."
  type        = list(string)
  default     = []
}

variable "reserved_cidrs" {
  description = "Networks that the VPC must not overlap, by name: offices, other environments."
  type        = map(string)
  default     = {}
}

variable "cache_auth_token" {
  description = "Token of the Valkey, given as TF_VAR_cache_auth_token; kept in no plan and no state."
  type        = string
  default     = null
  ephemeral   = true
}

variable "client_prefix_list_ids" {
  description = "Prefix lists whose addresses may reach the load balancer, by name: CloudFront's, if it stands in front."
  type        = map(string)
  default     = {}
}

variable "client_cidrs" {
  description = "Networks whose clients may reach the load balancer, by name."
  type        = map(string)
  default     = {}
}
