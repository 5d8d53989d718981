# With the name under which another team's cluster knows its nodes.
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

module "karpenter" {
  source = "../.."

  cluster_name   = "shared-analytics"
  node_role_name = "shared-analytics-workers"
}
