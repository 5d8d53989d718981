# The groups and their flows; no client may come in yet.
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

module "security_groups" {
  source = "../.."

  name   = "ecap-demo"
  vpc_id = "vpc-0123456789abcdef0"
}
