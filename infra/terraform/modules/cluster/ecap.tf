locals {
  environment_values = "${var.charts}/ecap/values-${var.environment}.yaml"

  # What only Terraform knows. Everything else is the chart's, or the environment's values file's.
  generated_values = {
    environment = var.environment
    image       = var.image
    platform = {
      database    = var.platform.database
      kafka       = var.platform.kafka == null ? { bootstrap = "kafka.ecap.svc:9092", security = "PLAINTEXT" } : merge(var.platform.kafka, { security = "IAM", region = var.platform.region })
      cache       = var.platform.cache
      buckets     = var.platform.buckets
      ports       = var.platform.ports
      clusterName = var.platform.cluster_name
    }
    loadBalancer = { securityGroup = var.platform.load_balancer_group }
    scheduling = {
      head    = { nodeSelector = local.system_selector, tolerations = local.system_tolerations }
      workers = local.karpenter ? { nodeSelector = local.worker_selector, tolerations = [] } : null
      spot    = { nodeSelector = local.spot_selector, tolerations = local.spot_tolerations }
    }
  }
}

resource "helm_release" "ecap" {
  name        = "ecap"
  namespace   = "ecap"
  chart       = "${var.charts}/ecap"
  lint        = true
  timeout     = 900
  max_history = 10

  values = concat(
    fileexists(local.environment_values) ? [file(local.environment_values)] : [],
    [yamlencode(local.generated_values)],
  )

  # Destroyed first of all: nodes, operator and monitors stay until its pods are gone.
  depends_on = [
    helm_release.kafka,
    helm_release.karpenter_nodes,
    helm_release.kuberay_operator,
    helm_release.monitoring,
  ]
}
