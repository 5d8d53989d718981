variable "name" {
  description = "Identifier of the instance, and prefix of its groups, logs and alarms."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,40}[a-z0-9]$", var.name)) && !strcontains(var.name, "--")
    error_message = "name must be lower-case letters, digits and single hyphens, start with a letter and end with a letter or digit."
  }
}

variable "engine_version" {
  description = "PostgreSQL version; a major alone (\"17\") takes its newest minor. The parameter family follows from it."
  type        = string
  default     = "17"

  validation {
    condition     = can(regex("^1[78](\\.[0-9]+)?$", var.engine_version))
    error_message = "engine_version must be 17 or 18, with or without a minor (\"17.6\"): there is no RDS parameter family for others that ECAP supports."
  }
}

variable "instance_class" {
  description = "Instance class, Graviton."
  type        = string

  validation {
    condition     = can(regex("^db\\.[a-z]+[0-9]+g[a-z]*\\.", var.instance_class))
    error_message = "instance_class must be a Graviton class such as \"db.t4g.micro\" or \"db.m7g.large\"."
  }
}

variable "database_name" {
  description = "Database made with the instance."
  type        = string
  default     = "ecap"
}

variable "port" {
  description = "Port of the database; must be the one that the security group lets through."
  type        = number
  default     = 5432
}

variable "subnet_ids" {
  description = "Subnets of two zones at least, without a route out."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids must hold subnets of at least two zones: RDS refuses a subnet group in one, and Multi-AZ needs the second."
  }
}

variable "security_group_ids" {
  description = "Groups of the instance."
  type        = list(string)
}

variable "kms_key_arn" {
  description = "Key for storage, backups, insights, logs and the master password."
  type        = string
}

variable "multi_az" {
  description = "Whether a standby in another zone takes over. Doubles the price."
  type        = bool
  default     = true
}

variable "storage_gib" {
  description = "First size of the storage; RDS grows it up to max_storage_gib."
  type        = number
  default     = 20

  validation {
    condition     = var.storage_gib >= 20 && var.storage_gib <= 16384
    error_message = "storage_gib must be 20 to 16384."
  }
}

variable "max_storage_gib" {
  description = "Where the growth of the storage ends."
  type        = number
  default     = 100
}
