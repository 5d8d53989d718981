variable "name" {
  description = "Id of the replication group and prefix of its groups, secret and alarms."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,36}[a-z0-9]$", var.name)) && !strcontains(var.name, "--")
    error_message = "name must be 2 to 38 lower-case letters, digits and single hyphens, and start with a letter: member names add \"-001\"."
  }
}

variable "node_type" {
  description = "Node type, Graviton."
  type        = string
  default     = "cache.t4g.micro"

  validation {
    condition     = can(regex("^cache\\.[a-z]+[0-9]+g[a-z]*\\.", var.node_type))
    error_message = "node_type must be a Graviton type such as \"cache.t4g.micro\" or \"cache.m7g.large\"."
  }
}

variable "replicas" {
  description = "Replicas beside the primary; with one or more, a failed primary is replaced by itself."
  type        = number
  default     = 1

  validation {
    condition     = var.replicas >= 0 && var.replicas <= 5
    error_message = "replicas must be 0 to 5."
  }

  validation {
    condition     = var.replicas == 0 || length(var.subnet_ids) >= 2
    error_message = "replicas need subnet_ids in two zones at least: a replica beside its primary falls with it."
  }
}

variable "port" {
  description = "Port of Valkey; must be the one that the security group lets through."
  type        = number
  default     = 6379
}

variable "subnet_ids" {
  description = "Subnets without a route out."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Groups of the nodes."
  type        = list(string)
}

variable "kms_key_arn" {
  description = "Key for memory snapshots, disks and the token's secret."
  type        = string
}

variable "auth_token" {
  description = "Token that clients present. Ephemeral: give it at every plan and apply; it is only written when auth_token_version rises."
  type        = string
  ephemeral   = true

  validation {
    condition     = can(regex("^[A-Za-z0-9!&#$<>-]{32,128}$", var.auth_token))
    error_message = "auth_token must be 32 to 128 characters from letters, digits and !&#$<>-; make one with: aws secretsmanager get-random-password --exclude-punctuation --password-length 64."
  }
}

variable "auth_token_version" {
  description = "Rises by one when the token changes."
  type        = number
  default     = 1
}

variable "snapshot_days" {
  description = "Days that daily snapshots are kept; 0 makes none."
  type        = number
  default     = 1
}

variable "secret_recovery_days" {
  description = "Days during which the deleted secret can be restored; 0 deletes at once, for environments that come and go."
  type        = number
  default     = 30

  validation {
    condition     = var.secret_recovery_days == 0 || (var.secret_recovery_days >= 7 && var.secret_recovery_days <= 30)
    error_message = "secret_recovery_days must be 0 or 7 to 30."
  }
}

variable "alarm_topic_arn" {
  description = "SNS topic that hears of alarms."
  type        = string
}
