resource "helm_release" "kuberay_operator" {
  name       = "kuberay-operator"
  namespace  = "kuberay-system"
  repository = "https://ray-project.github.io/kuberay-helm/"
  chart      = "kuberay-operator"
  version    = var.versions.kuberay_operator
  timeout    = 300

  values = [yamlencode({
    nodeSelector   = local.system_selector
    tolerations    = local.system_tolerations
    watchNamespace = ["ecap"]
    resources = {
      requests = { cpu = "50m", memory = "128Mi" }
      limits   = { memory = "512Mi" }
    }
    metrics = { serviceMonitor = { enabled = true } }
  })]

  depends_on = [
    helm_release.monitoring, # brings the ServiceMonitor kind
    helm_release.namespaces,
  ]
}
