# Vault in a network of its own, joined to the VPC: it may review tokens at the API.
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

module "vault" {
  source = "../.."

  cluster_name              = "ecap-demo"
  in_cluster                = false
  cluster_security_group_id = "sg-0123456789abcdef0"
  external_cidrs            = { vault-a = "10.90.0.0/24", vault-b = "10.90.1.0/24" }
}
