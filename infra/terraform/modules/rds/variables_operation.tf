variable "parameters" {
  description = "PostgreSQL parameters by name, over the tuned ones (see parameters.tf)."
  type        = map(string)
  default     = {}

  # An unknown name is only refused when it is applied, after ten minutes.
  validation {
    condition = length(setsubtract(keys(var.parameters), [
      "autovacuum_analyze_scale_factor", "autovacuum_freeze_max_age", "autovacuum_max_workers", "autovacuum_naptime", "autovacuum_vacuum_cost_limit",
      "autovacuum_vacuum_scale_factor", "checkpoint_timeout", "default_statistics_target", "effective_cache_size", "effective_io_concurrency",
      "idle_in_transaction_session_timeout", "lock_timeout", "log_autovacuum_min_duration", "log_lock_waits", "log_min_duration_statement",
      "log_statement", "log_temp_files", "maintenance_work_mem", "max_connections", "max_parallel_workers_per_gather", "max_wal_size",
      "max_worker_processes", "password_encryption", "random_page_cost", "rds.accepted_password_auth_method", "rds.force_ssl",
      "rds.logical_replication", "shared_buffers", "shared_preload_libraries", "statement_timeout", "synchronous_commit",
      "track_activity_query_size", "track_io_timing", "wal_compression", "work_mem",
    ])) == 0
    error_message = "parameters holds a name that is no known RDS PostgreSQL parameter: correct its spelling, or add it to the list in this validation after checking it in the RDS console."
  }
}

variable "backup_days" {
  description = "Days of point-in-time recovery."
  type        = number
  default     = 7

  validation {
    condition     = var.backup_days >= 1 && var.backup_days <= 35
    error_message = "backup_days must be 1 to 35: with 0 there is no recovery at all."
  }
}

variable "deletion_protection" {
  description = "Whether the instance refuses deletion, and leaves a final snapshot once it is allowed."
  type        = bool
  default     = true
}

variable "apply_immediately" {
  description = "Whether changes that restart the database are made at once instead of in the maintenance window."
  type        = bool
  default     = false
}

variable "insights" {
  description = "Database Insights: standard (7 days, free) or advanced (15 months, charged by vCPU)."
  type        = string
  default     = "standard"

  validation {
    condition     = contains(["standard", "advanced"], var.insights)
    error_message = "insights must be \"standard\" or \"advanced\"."
  }
}

variable "monitoring_interval_s" {
  description = "Seconds between samples of the operating system; 0 turns them off."
  type        = number
  default     = 60

  validation {
    condition     = contains([0, 1, 5, 10, 15, 30, 60], var.monitoring_interval_s)
    error_message = "monitoring_interval_s must be 0, 1, 5, 10, 15, 30 or 60."
  }
}

variable "log_retention_days" {
  description = "Days that the database's logs are kept."
  type        = number
  default     = 30
}

variable "alarm_topic_arn" {
  description = "SNS topic that hears of alarms."
  type        = string
}

variable "connections_alarm" {
  description = "Connections that are too many: about 80 percent of what the class allows."
  type        = number
  default     = 80
}

variable "memory_alarm_mib" {
  description = "Freeable memory, in MiB, that is too little."
  type        = number
  default     = 128
}

variable "iam_users" {
  description = "Database users that log in with an IAM token."
  type        = set(string)
  default     = ["ecap"]

  validation {
    condition     = length(var.iam_users) > 0 && !contains(var.iam_users, "*") && !contains(var.iam_users, "master")
    error_message = "iam_users must name users one by one, neither \"*\" nor \"master\"."
  }
}
