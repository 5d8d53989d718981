resource "helm_release" "monitoring" {
  name       = "monitoring"
  namespace  = "monitoring"
  repository = local.others.kube-prometheus-stack.repository
  chart      = "kube-prometheus-stack"
  version    = coalesce(var.versions.kube_prometheus_stack, local.others.kube-prometheus-stack.version)
  timeout    = 600

  values = [file("${var.charts}/others/kube-prometheus-stack.yaml"), yamlencode({
    prometheusOperator = { nodeSelector = local.system_selector, tolerations = local.system_tolerations }
    kube-state-metrics = { nodeSelector = local.system_selector, tolerations = local.system_tolerations }

    prometheus = {
      prometheusSpec = {
        nodeSelector = local.system_selector
        tolerations  = local.system_tolerations
        retention    = "${var.monitoring.retention_days}d"
        resources    = { requests = { cpu = "100m", memory = var.monitoring.memory }, limits = { memory = var.monitoring.memory } }
        storageSpec = {
          volumeClaimTemplate = {
            spec = { accessModes = ["ReadWriteOnce"], resources = { requests = { storage = "${var.monitoring.storage_gib}Gi" } } }
          }
        }
      }
    }

    alertmanager = { enabled = var.monitoring.full, alertmanagerSpec = { nodeSelector = local.system_selector, tolerations = local.system_tolerations } }
    grafana      = { enabled = var.monitoring.full, nodeSelector = local.system_selector, tolerations = local.system_tolerations }
  })]

  depends_on = [
    helm_release.namespaces,
    helm_release.storage,
  ]
}
