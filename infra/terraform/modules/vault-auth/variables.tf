variable "path" {
  description = "Mount path of the method, one a cluster."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]+$", var.path))
    error_message = "path must be lower-case letters, digits and hyphens, for example \"ecap-production\"."
  }
}

variable "in_cluster" {
  description = "Whether Vault runs in the cluster whose pods log in."
  type        = bool
}

variable "kubernetes_host" {
  description = "URL of the Kubernetes API as Vault reaches it."
  type        = string

  validation {
    condition     = startswith(var.kubernetes_host, "https://")
    error_message = "kubernetes_host must begin with https://; in the cluster it is https://kubernetes.default.svc."
  }
}

variable "kubernetes_ca_certificate" {
  description = "Certificate of the Kubernetes API, PEM; null in the cluster, where Vault has it."
  type        = string
  default     = null

  validation {
    condition     = var.in_cluster || var.kubernetes_ca_certificate != null
    error_message = "A Vault outside the cluster needs kubernetes_ca_certificate: give output certificate_authority of the eks module through base64decode."
  }
}

variable "audience" {
  description = "Audience that tokens must carry."
  type        = string
  default     = "vault"
}

variable "roles" {
  description = "Who may log in, by role: namespace, service accounts, and paths with their capabilities."
  type = map(object({
    namespace        = string
    service_accounts = list(string)
    paths            = map(list(string))
  }))

  validation {
    condition     = alltrue([for r in var.roles : !contains(r.service_accounts, "*") && r.namespace != "*"])
    error_message = "roles must name namespace and service accounts, not \"*\": any pod could log in."
  }

  validation {
    condition     = alltrue(flatten([for r in var.roles : [for capabilities in values(r.paths) : length(setsubtract(capabilities, ["create", "delete", "list", "read", "update"])) == 0]]))
    error_message = "Capabilities must be create, read, update, delete or list: no role of ECAP needs sudo."
  }
}

variable "token_ttl_s" {
  description = "Seconds that a login lasts before it is renewed."
  type        = number
  default     = 1200

  validation {
    condition     = var.token_ttl_s >= 300 && var.token_ttl_s <= 86400
    error_message = "token_ttl_s must be 300 to 86400."
  }
}
