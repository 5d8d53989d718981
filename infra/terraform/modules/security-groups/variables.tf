variable "name" {
  description = "Prefix of the group names."
  type        = string
}

variable "vpc_id" {
  description = "VPC of the groups."
  type        = string
}

variable "client_cidrs" {
  description = "Networks whose clients may reach the load balancer, by name. The whole internet comes through CloudFront's prefix list instead."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for cidr in values(var.client_cidrs) : can(cidrnetmask(cidr))])
    error_message = "client_cidrs must hold IPv4 networks, for example { office = \"203.0.113.0/24\" }."
  }

  validation {
    condition     = alltrue([for cidr in values(var.client_cidrs) : try(tonumber(split("/", cidr)[1]) >= 8, true)])
    error_message = "client_cidrs must not open the load balancer to the world: name networks of /8 or smaller, or put CloudFront in front and give its prefix list to client_prefix_list_ids."
  }
}

variable "client_prefix_list_ids" {
  description = "Managed prefix lists whose addresses may reach the load balancer, by name, such as CloudFront's origin-facing list."
  type        = map(string)
  default     = {}
}
