variable "retention_hours" {
  description = "Hours that topics without a setting of their own keep their records. The outbox can refill what is gone."
  type        = number
  default     = 168

  validation {
    condition     = var.retention_hours >= 1
    error_message = "retention_hours must be 1 or more."
  }
}

variable "monitoring" {
  description = "CloudWatch metrics: DEFAULT is free, the others are charged by metric. Prometheus gets all of them free from the brokers."
  type        = string
  default     = "DEFAULT"

  validation {
    condition     = contains(["DEFAULT", "PER_BROKER", "PER_TOPIC_PER_BROKER", "PER_TOPIC_PER_PARTITION"], var.monitoring)
    error_message = "monitoring must be DEFAULT, PER_BROKER, PER_TOPIC_PER_BROKER or PER_TOPIC_PER_PARTITION."
  }
}

variable "log_retention_days" {
  description = "Days that broker logs are kept."
  type        = number
  default     = 30
}

variable "alarm_topic_arn" {
  description = "SNS topic that hears of alarms."
  type        = string
}

variable "topics" {
  description = "Topics of ECAP, as ecap/domain/events/topics.py names them; each has a dead letter topic NAME.dlq. The client policy is limited to them."
  type        = list(string)
  default     = ["transactions", "accounts", "product-updates", "user-events", "fraud-alerts", "analytics-results", "notifications", "audit-auth", "audit-config", "audit-stream"]

  validation {
    condition     = length(var.topics) > 0 && alltrue([for topic in var.topics : can(regex("^[a-z][a-z0-9.-]*$", topic))])
    error_message = "topics must name topics one by one, without wildcards."
  }
}

variable "group_prefix" {
  description = "Prefix of the consumer groups that operators' tools may use."
  type        = string
  default     = "ecap-"

  validation {
    condition     = length(var.group_prefix) >= 3
    error_message = "group_prefix must have 3 characters or more: an empty one would allow every group."
  }
}
