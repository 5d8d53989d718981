resource "helm_release" "monitoring" {
  name       = "monitoring"
  namespace  = "monitoring"
  repository = "https://prometheus-community.github.io/helm-charts"
  chart      = "kube-prometheus-stack"
  version    = var.versions.kube_prometheus_stack
  timeout    = 600

  values = [yamlencode({
    prometheusOperator = { nodeSelector = local.system_selector, tolerations = local.system_tolerations }
    kube-state-metrics = { nodeSelector = local.system_selector, tolerations = local.system_tolerations }

    prometheus = {
      prometheusSpec = {
        nodeSelector = local.system_selector
        tolerations  = local.system_tolerations
        retention    = "${var.monitoring.retention_days}d"
        resources    = { requests = { cpu = "100m", memory = var.monitoring.memory }, limits = { memory = var.monitoring.memory } }
        # ECAP's monitors and rules carry no label of this release.
        podMonitorSelectorNilUsesHelmValues     = false
        ruleSelectorNilUsesHelmValues           = false
        serviceMonitorSelectorNilUsesHelmValues = false
        storageSpec = {
          volumeClaimTemplate = {
            spec = { accessModes = ["ReadWriteOnce"], resources = { requests = { storage = "${var.monitoring.storage_gib}Gi" } } }
          }
        }
      }
    }

    alertmanager = { enabled = var.monitoring.full, alertmanagerSpec = { nodeSelector = local.system_selector, tolerations = local.system_tolerations } }
    grafana      = { enabled = var.monitoring.full, nodeSelector = local.system_selector, tolerations = local.system_tolerations }

    # EKS keeps these to itself.
    kubeControllerManager = { enabled = false }
    kubeEtcd              = { enabled = false }
    kubeScheduler         = { enabled = false }
  })]

  depends_on = [
    helm_release.namespaces,
    helm_release.storage,
  ]
}
