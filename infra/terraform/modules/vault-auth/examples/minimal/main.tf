# Pods of the cluster in which Vault runs.
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

  path            = "ecap-demo"
  in_cluster      = true
  kubernetes_host = "https://kubernetes.default.svc"
  roles = {
    ecap = { namespace = "ecap", service_accounts = ["ecap-ray"], paths = { "secret/data/ecap/*" = ["read"] } }
  }
}
