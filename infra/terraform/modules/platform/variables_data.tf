variable "database" {
  description = "PostgreSQL: see modules/rds for each value."
  type = object({
    instance_class    = string
    multi_az          = bool
    engine_version    = optional(string, "17")
    storage_gib       = optional(number, 20)
    max_storage_gib   = optional(number, 100)
    backup_days       = optional(number, 7)
    insights          = optional(string, "standard")
    parameters        = optional(map(string), {})
    connections_alarm = optional(number, 80)
    memory_alarm_mib  = optional(number, 128)
  })
}

variable "kafka" {
  description = "MSK: see modules/msk for each value. null: Kafka runs in the cluster, where losing it loses nothing (the outbox refills it)."
  type = object({
    kind            = string
    instance_type   = optional(string, "kafka.m7g.large")
    storage_gib     = optional(number, 50)
    max_storage_gib = optional(number, 500)
    monitoring      = optional(string, "DEFAULT")
  })
  default = null

  validation {
    condition     = try(var.kafka.kind, "serverless") == "serverless" || length(var.network.zones) == 3
    error_message = "Brokers stand in three zones: give network.zones three, or take kind \"serverless\", or kafka = null."
  }
}

variable "cache" {
  description = "Valkey for Ray's control store: see modules/cache. null: Ray keeps it in memory, and a lost head restarts the cluster."
  type = object({
    node_type          = optional(string, "cache.t4g.micro")
    replicas           = optional(number, 1)
    auth_token_version = optional(number, 1)
  })
  default = null
}

variable "cache_auth_token" {
  description = "Token of the Valkey, given at every plan and apply (TF_VAR_cache_auth_token); kept in no plan and no state. null without cache."
  type        = string
  default     = null
  ephemeral   = true

  validation {
    condition     = var.cache == null || var.cache_auth_token != null
    error_message = "Set TF_VAR_cache_auth_token: a new one from `aws secretsmanager get-random-password --exclude-punctuation --password-length 64`, later the one in secret ecap-ENVIRONMENT/auth-token."
  }
}

variable "secrets" {
  description = "Places for secrets, by name with what they hold: see modules/secrets."
  type        = map(string)
  default     = {}
}

variable "vault" {
  description = "Vault in the cluster (unsealed by KMS), or elsewhere (its networks get to the API). null: none of it."
  type = object({
    in_cluster     = bool
    external_cidrs = optional(map(string), {})
  })
  default = null
}

variable "log_retention_days" {
  description = "Days that CloudWatch keeps the logs of cluster, database and brokers."
  type        = number
  default     = 30
}

variable "alarm_emails" {
  description = "Addresses that get alarms and budget warnings."
  type        = set(string)
}

variable "monthly_budget_usd" {
  description = "Budget, USD a month."
  type        = number
}

variable "price_usd" {
  description = "Price of this environment as pricing/price.py wrote it, USD a month."
  type        = number
}
