variable "name" {
  description = "Name of the cluster and prefix of its roles."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,30}$", var.name))
    error_message = "name must be 3 to 31 lower-case letters, digits or hyphens and start with a letter: role names are built from it."
  }
}

variable "kubernetes_version" {
  description = "Kubernetes minor version. 1.35 is in standard support until 2027-03-27."
  type        = string
  default     = "1.35"

  validation {
    condition     = contains(["1.34", "1.35", "1.36"], var.kubernetes_version)
    error_message = "kubernetes_version must be 1.34, 1.35 or 1.36: the versions that ECAP is made for; go up one at a time."
  }
}

variable "subnet_ids" {
  description = "Private subnets of the control plane's interfaces and of the nodes, in two zones at least."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids must hold subnets of at least two zones: EKS refuses a cluster in one."
  }
}

variable "service_cidr" {
  description = "Range of the cluster's service addresses; must not overlap the VPC or what it is joined to."
  type        = string
  default     = "172.20.0.0/16"

  validation {
    condition     = can(cidrnetmask(var.service_cidr)) && try(tonumber(split("/", var.service_cidr)[1]) >= 12 && tonumber(split("/", var.service_cidr)[1]) <= 24, false)
    error_message = "service_cidr must be an IPv4 network between /12 and /24, for example \"172.20.0.0/16\"."
  }
}

variable "public_access_cidrs" {
  description = "Networks that may reach the API from outside the VPC. Empty: the endpoint is private."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.public_access_cidrs : try(tonumber(split("/", cidr)[1]) >= 24, false)])
    error_message = "public_access_cidrs must name networks of /24 or smaller, never the internet: leave it empty and come through a VPN or Session Manager."
  }
}

variable "kms_key_arn" {
  description = "Key for Kubernetes secrets, node disks and the control plane's logs; its policy must let ec2 and CloudWatch Logs use it."
  type        = string
}

variable "log_retention_days" {
  description = "Days that control plane logs, audit among them, are kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827], var.log_retention_days)
    error_message = "log_retention_days must be one of CloudWatch's values: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096 or 1827."
  }
}

variable "deletion_protection" {
  description = "Whether the cluster refuses to be deleted until this is turned off and applied."
  type        = bool
  default     = true
}

variable "addon_versions" {
  description = "Versions of the add-ons; null takes the newest for this Kubernetes version. Pin them where a change must be reviewed."
  type        = map(string)
  default = {
    vpc-cni                = null
    kube-proxy             = null
    eks-pod-identity-agent = null
    coredns                = null
    aws-ebs-csi-driver     = null
  }

  validation {
    condition     = toset(keys(var.addon_versions)) == toset(["vpc-cni", "kube-proxy", "eks-pod-identity-agent", "coredns", "aws-ebs-csi-driver"])
    error_message = "addon_versions must name exactly vpc-cni, kube-proxy, eks-pod-identity-agent, coredns and aws-ebs-csi-driver; give null for the newest."
  }
}
