# Clients of one office, and of the internet through CloudFront.
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

  client_cidrs           = { office = "203.0.113.0/24" }
  client_prefix_list_ids = { cloudfront = "pl-3b927c52" }
}
