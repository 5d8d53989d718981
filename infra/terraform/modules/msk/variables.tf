variable "name" {
  description = "Name of the cluster and prefix of its configuration, logs and alarms."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,50}$", var.name))
    error_message = "name must be 3 to 51 lower-case letters, digits or hyphens and start with a letter."
  }
}

variable "kind" {
  description = "provisioned (brokers with disks), express (brokers with elastic storage) or serverless (paid by partition and traffic)."
  type        = string
  default     = "provisioned"

  validation {
    condition     = contains(["provisioned", "express", "serverless"], var.kind)
    error_message = "kind must be \"provisioned\", \"express\" or \"serverless\"."
  }
}

variable "kafka_version" {
  description = "Kafka version with KRaft, as MSK names it. Not used by serverless."
  type        = string
  default     = "3.9.x.kraft"

  validation {
    condition     = can(regex("^(3\\.[789]|4\\.[0-9]+)\\.x\\.kraft$", var.kafka_version))
    error_message = "kafka_version must name a KRaft version of 3.7 or later, for example \"3.9.x.kraft\": a cluster on ZooKeeper cannot be converted."
  }
}

variable "instance_type" {
  description = "Broker type: kafka.m7g.large and up, express.m7g.large and up, or kafka.t3.small for trials (it admits few new IAM connections a second)."
  type        = string
  default     = "kafka.m7g.large"

  validation {
    condition     = can(regex("^(kafka\\.(t3\\.small|m7g\\.[0-9]*x?large)|express\\.m7g\\.[0-9]*x?large)$", var.instance_type))
    error_message = "instance_type must be \"kafka.t3.small\" or of the m7g family, for example \"kafka.m7g.large\" or \"express.m7g.large\"."
  }
}

variable "subnet_ids" {
  description = "One subnet in each of three zones (two do for serverless)."
  type        = list(string)

  validation {
    condition     = var.kind == "serverless" ? length(var.subnet_ids) >= 2 : length(var.subnet_ids) == 3
    error_message = "subnet_ids must hold one subnet in each of three zones: with two zones the loss of one stops all writes. Give the VPC three zones, or take kind \"serverless\"."
  }
}

variable "brokers_per_zone" {
  description = "Brokers in each zone."
  type        = number
  default     = 1

  validation {
    condition     = var.brokers_per_zone >= 1 && var.brokers_per_zone <= 10
    error_message = "brokers_per_zone must be 1 to 10."
  }
}

variable "security_group_ids" {
  description = "Groups of the brokers."
  type        = list(string)
}

variable "kms_key_arn" {
  description = "Key for the brokers' disks and logs."
  type        = string
}

variable "storage_gib" {
  description = "First size of each broker's disk (kind provisioned). Autoscaling owns it afterwards."
  type        = number
  default     = 50
}

variable "max_storage_gib" {
  description = "Where autoscaling of each broker's disk ends (kind provisioned)."
  type        = number
  default     = 500
}
