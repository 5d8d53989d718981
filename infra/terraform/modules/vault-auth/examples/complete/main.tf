# Pods of a cluster that Vault reaches from outside, in two roles.
terraform {
  required_version = ">= 1.11, < 2.0"

  required_providers {
    vault = {
      source  = "hashicorp/vault"
      version = "~> 5.13"
    }
  }
}

provider "vault" {
  address = "https://vault.example.com:8200"
}

module "vault_auth" {
  source = "../.."

  path                      = "ecap-demo"
  in_cluster                = false
  kubernetes_host           = "https://0123456789ABCDEF.gr7.us-east-1.eks.amazonaws.com"
  kubernetes_ca_certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
  token_ttl_s               = 3600

  roles = {
    ecap    = { namespace = "ecap", service_accounts = ["ecap-ray"], paths = { "secret/data/ecap/*" = ["read"] } }
    migrate = { namespace = "ecap", service_accounts = ["ecap-migrate"], paths = { "database/creds/ecap-migrate" = ["read"] } }
  }
}
