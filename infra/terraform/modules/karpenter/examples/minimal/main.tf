# The controller's role, the interruption queue and the nodes' profile.
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

  cluster_name   = "ecap-demo"
  node_role_name = "ecap-demo-node"
}
