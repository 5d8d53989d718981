# Inside Vault: who may log in from this cluster, and what they may read. Applied by whoever holds a
# Vault token (VAULT_TOKEN), after the cluster root and Vault itself; the token is in no plan and no state.
data "aws_ssm_parameter" "platform" {
  name = "/ecap/production/platform"
}

locals {
  platform = jsondecode(data.aws_ssm_parameter.platform.insecure_value)
}

module "auth" {
  source = "../../../modules/vault-auth"

  path                      = var.auth_mount
  in_cluster                = local.platform.vault.in_cluster
  kubernetes_host           = local.platform.vault.in_cluster ? "https://kubernetes.default.svc" : local.platform.cluster_endpoint
  kubernetes_ca_certificate = local.platform.vault.in_cluster ? null : base64decode(local.platform.certificate_authority)

  roles = {
    # The chart's vault.role: workers, and the Job that migrates.
    ecap-ray = {
      namespace        = "ecap"
      service_accounts = ["ecap-ray", "ecap-migrate"]
      paths = {
        "${var.kv_mount}/data/ecap/*"     = ["read"]
        "${var.kv_mount}/metadata/ecap/*" = ["list", "read"] # new versions are noticed by it
      }
    }
  }
}
