# One key for everything: 1 USD a month.
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

module "kms" {
  source = "../.."

  name = "ecap-demo"
  keys = { main = { description = "All data of the demo" } }
}
