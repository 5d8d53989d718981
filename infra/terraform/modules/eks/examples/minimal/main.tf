# A private cluster with one node.
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

module "eks" {
  source = "../.."

  name                    = "ecap-demo"
  subnet_ids              = ["subnet-0a", "subnet-0b"]
  kms_key_arn             = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  node_security_group_ids = ["sg-0123456789abcdef0"]
  access_entries          = { admin = { principal_arn = "arn:aws:iam::123456789012:role/admin", policy = "AmazonEKSClusterAdminPolicy" } }
  node_groups             = { system = { capacity = "ON_DEMAND", instance_types = ["t4g.medium"], min = 1, max = 2 } }
}
