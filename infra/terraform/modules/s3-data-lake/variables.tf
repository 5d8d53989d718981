variable "name" {
  description = "Prefix of the bucket names: NAME-ZONE-ACCOUNT."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,37}$", var.name))
    error_message = "name must be 3 to 38 lower-case letters, digits or hyphens: with zone and account number a bucket name may have 63."
  }
}

variable "kms_key_arn" {
  description = "Key that encrypts every zone but the logs."
  type        = string
}

variable "force_destroy" {
  description = "Whether destroying the lake deletes what is in it. Only where the data can be made again."
  type        = bool
  default     = false
}

variable "retention" {
  description = "Days, by zone: when large objects move to infrequent access (null: never; AWS wants 30 at least), when objects expire (null: never), how long replaced versions are kept."
  type = map(object({
    infrequent_after_days = optional(number)
    expire_days           = optional(number)
    old_versions_days     = optional(number, 30)
  }))
  default = {
    raw         = { infrequent_after_days = 60, expire_days = 730 }
    curated     = { infrequent_after_days = 90 }
    features    = { expire_days = 180, old_versions_days = 7 }
    checkpoints = { expire_days = 30, old_versions_days = 1 }
    logs        = { infrequent_after_days = 30, expire_days = 365, old_versions_days = 7 }
  }

  validation {
    condition     = toset(keys(var.retention)) == toset(["raw", "curated", "features", "checkpoints", "logs"])
    error_message = "retention must name all five zones: raw, curated, features, checkpoints and logs."
  }

  validation {
    condition     = alltrue([for r in var.retention : r.infrequent_after_days == null ? true : r.infrequent_after_days >= 30])
    error_message = "infrequent_after_days must be 30 or more: AWS refuses an earlier move to infrequent access."
  }

  validation {
    condition     = alltrue([for r in var.retention : try(r.expire_days > r.infrequent_after_days, true)])
    error_message = "expire_days must come after infrequent_after_days."
  }
}
