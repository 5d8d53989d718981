# Two zones without a way out: nodes reach AWS by interface endpoints only.
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
  zones = ["us-east-1a", "us-east-1b"]
  nat   = "none"

  interface_endpoints = ["ec2", "ecr.api", "ecr.dkr", "eks", "eks-auth", "sts"]

  flow_logs = { destination = "s3", bucket_arn = "arn:aws:s3:::ecap-demo-logs-123456789012" }
}
