provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]
}

provider "helm" {
  kubernetes = {
    host                   = var.kubernetes_host == null ? local.platform.cluster_endpoint : var.kubernetes_host
    cluster_ca_certificate = base64decode(local.platform.certificate_authority)
    # Through a tunnel the certificate is still the API's own.
    tls_server_name = var.kubernetes_host == null ? null : trimprefix(local.platform.cluster_endpoint, "https://")

    exec = {
      api_version = "client.authentication.k8s.io/v1beta1"
      command     = "aws"
      args        = ["eks", "get-token", "--cluster-name", local.platform.cluster_name, "--region", var.region]
    }
  }
}
