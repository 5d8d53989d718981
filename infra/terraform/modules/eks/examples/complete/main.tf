# System nodes, spot workers from ten pools, a reader, and a role for a service account.
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
  subnet_ids              = ["subnet-0a", "subnet-0b", "subnet-0c"]
  kms_key_arn             = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  node_security_group_ids = ["sg-0123456789abcdef0"]
  log_retention_days      = 90
  public_access_cidrs     = ["203.0.113.0/28"]

  node_groups = {
    system = {
      capacity       = "ON_DEMAND"
      instance_types = ["m7g.large"]
      min            = 2
      max            = 3
      taints         = { CriticalAddonsOnly = { value = "true", effect = "NO_SCHEDULE" } }
    }

    ray-spot = {
      capacity       = "SPOT"
      instance_types = ["m6g.large", "m6gd.large", "m7g.large", "m7gd.large", "m8g.large", "r6g.large", "r6gd.large", "r7g.large", "r8g.large", "t4g.large"]
      min            = 1
      max            = 6
      disk_gib       = 30
      taints         = { "ecap.io/spot" = { value = "true", effect = "NO_SCHEDULE" } }
    }
  }

  access_entries = {
    admin  = { principal_arn = "arn:aws:iam::123456789012:role/admin", policy = "AmazonEKSClusterAdminPolicy" }
    reader = { principal_arn = "arn:aws:iam::123456789012:role/reader", policy = "AmazonEKSViewPolicy", namespaces = ["ecap"] }
  }

  workloads = {
    ray = {
      namespace       = "ecap"
      service_account = "ecap-ray"
      policies        = { lake = jsonencode({ Version = "2012-10-17", Statement = [] }) }
    }
  }
}
