variable "name" {
  description = "Name of the VPC and prefix of everything in it; also the value of the tag karpenter.sh/discovery."
  type        = string
}

variable "cidr" {
  description = "IPv4 range of the VPC. Each zone gets an eighth of it for nodes and pods."
  type        = string

  validation {
    condition     = can(cidrnetmask(var.cidr)) && try(cidrhost(var.cidr, 0) == split("/", var.cidr)[0], false)
    error_message = "cidr must be an IPv4 network without host bits, for example \"10.20.0.0/16\"."
  }

  validation {
    condition     = try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 20, false)
    error_message = "cidr must be between /16 and /20: AWS allows no more than /16, and below /20 the pods run out of addresses."
  }
}

variable "reserved_cidrs" {
  description = "Networks this VPC will be joined to (other environments, offices, the Kubernetes service range). The VPC must not overlap them, since that cannot be repaired later."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for cidr in values(var.reserved_cidrs) : can(cidrnetmask(cidr))])
    error_message = "reserved_cidrs must hold IPv4 networks, for example { office = \"192.168.0.0/16\" }."
  }

  # Two networks overlap when the smaller one, cut to the larger one's length, is the larger one.
  validation {
    condition = alltrue([
      for cidr in values(var.reserved_cidrs) : try(
        cidrhost("${split("/", cidr)[0]}/${min(split("/", cidr)[1], split("/", var.cidr)[1])}", 0)
        != cidrhost("${split("/", var.cidr)[0]}/${min(split("/", cidr)[1], split("/", var.cidr)[1])}", 0),
      false)
    ])
    error_message = "cidr overlaps one of reserved_cidrs: choose another range for this VPC, for example 10.30.0.0/16."
  }
}

variable "zones" {
  description = "Availability zones, two or three, for example [\"us-east-1a\", \"us-east-1b\"]. The NAT of one zone stands in the first."
  type        = list(string)

  validation {
    condition     = length(var.zones) >= 2 && length(var.zones) <= 3 && length(distinct(var.zones)) == length(var.zones)
    error_message = "zones must name 2 or 3 different availability zones: EKS and RDS refuse one, and no ECAP service gains from four."
  }
}

variable "nat" {
  description = "How private subnets reach the internet: none, instance (7 USD a month, no spare), single (33 USD, one zone's failure cuts all off) or per_zone."
  type        = string

  validation {
    condition     = contains(["none", "instance", "single", "per_zone"], var.nat)
    error_message = "nat must be \"none\", \"instance\", \"single\" or \"per_zone\"."
  }

  validation {
    condition     = var.nat != "none" || length(setsubtract(["ec2", "ecr.api", "ecr.dkr", "eks", "eks-auth", "sts"], var.interface_endpoints)) == 0
    error_message = "Without NAT, nodes cannot join: add ec2, ecr.api, ecr.dkr, eks, eks-auth and sts to interface_endpoints, or choose another nat."
  }
}

variable "nat_instance_type" {
  description = "Instance type of the NAT instance; Graviton, since its image is arm64."
  type        = string
  default     = "t4g.nano"

  validation {
    condition     = can(regex("^[a-z]+[0-9]+g[a-z]*\\.", var.nat_instance_type))
    error_message = "nat_instance_type must be a Graviton type such as \"t4g.nano\": the image is built for arm64."
  }
}

variable "interface_endpoints" {
  description = "Services reached without leaving the VPC, for example [\"ecr.api\", \"ecr.dkr\", \"sts\"]. Each costs about 7.30 USD a month and zone; S3 is always there and free."
  type        = set(string)
  default     = []

  validation {
    condition     = !contains(var.interface_endpoints, "s3")
    error_message = "Leave s3 out of interface_endpoints: its gateway endpoint is always made and costs nothing."
  }
}

variable "flow_logs" {
  description = "Where flow logs go: destination \"s3\" (needs bucket_arn) or \"cloudwatch\" (needs kms_key_arn; about 0.50 USD a GB); traffic ACCEPT, REJECT or ALL."
  type = object({
    destination    = string
    bucket_arn     = optional(string)
    kms_key_arn    = optional(string)
    retention_days = optional(number, 30)
    traffic        = optional(string, "ALL")
  })

  validation {
    condition     = contains(["s3", "cloudwatch"], var.flow_logs.destination) && contains(["ACCEPT", "REJECT", "ALL"], var.flow_logs.traffic)
    error_message = "flow_logs.destination must be \"s3\" or \"cloudwatch\", and traffic ACCEPT, REJECT or ALL."
  }
}
