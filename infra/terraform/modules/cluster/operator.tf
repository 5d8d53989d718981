resource "helm_release" "kuberay_operator" {
  name       = "kuberay-operator"
  namespace  = "kuberay-system"
  repository = local.others.kuberay-operator.repository
  chart      = "kuberay-operator"
  version    = coalesce(var.versions.kuberay_operator, local.others.kuberay-operator.version)
  timeout    = 300

  values = [file("${var.charts}/others/kuberay-operator.yaml"), yamlencode({
    nodeSelector = local.system_selector
    tolerations  = local.system_tolerations
  })]

  depends_on = [
    helm_release.monitoring, # brings the ServiceMonitor kind
    helm_release.namespaces,
  ]
}
