# Inside Vault: which pods may log in, and what each may read. Works for a Vault in the cluster and elsewhere.
resource "vault_auth_backend" "kubernetes" {
  type        = "kubernetes"
  path        = var.path
  description = "Pods of ${var.path}"
}

resource "vault_kubernetes_auth_backend_config" "this" {
  backend            = vault_auth_backend.kubernetes.path
  kubernetes_host    = var.kubernetes_host
  kubernetes_ca_cert = var.kubernetes_ca_certificate
  # In the cluster, Vault reviews with its own account; elsewhere, with the token that the pod presents.
  disable_local_ca_jwt = !var.in_cluster
}

resource "vault_policy" "this" {
  for_each = var.roles

  name   = "${var.path}-${each.key}"
  policy = join("\n", [for path, capabilities in each.value.paths : "path \"${path}\" {\n  capabilities = ${jsonencode(capabilities)}\n}"])
}

resource "vault_kubernetes_auth_backend_role" "this" {
  for_each = var.roles

  backend                          = vault_kubernetes_auth_backend_config.this.backend
  role_name                        = each.key
  bound_service_account_namespaces = [each.value.namespace]
  bound_service_account_names      = each.value.service_accounts
  token_policies                   = [vault_policy.this[each.key].name]
  token_ttl                        = var.token_ttl_s
  token_max_ttl                    = var.token_ttl_s * 4
  audience                         = var.audience
}
