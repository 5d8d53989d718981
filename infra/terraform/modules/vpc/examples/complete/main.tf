# Three zones, each with its own NAT gateway, flow logs in CloudWatch.
terraform {
  required_version = ">= 1.11, < 2.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.69"
    }
  }
}

provider "aws" {
  region = "us-east-1"
}

module "vpc" {
  source = "../.."

  name  = "ecap-demo"
  cidr  = "10.50.0.0/16"
  zones = ["us-east-1a", "us-east-1b", "us-east-1c"]
  nat   = "per_zone"

  reserved_cidrs      = { office = "192.168.0.0/16", staging = "10.30.0.0/16" }
  interface_endpoints = ["ecr.api", "ecr.dkr", "sts"]

  flow_logs = {
    destination    = "cloudwatch"
    kms_key_arn    = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
    retention_days = 14
  }
}
