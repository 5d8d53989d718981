locals {
  karpenter = var.platform.karpenter != null
}

resource "helm_release" "karpenter" {
  count = local.karpenter ? 1 : 0

  name       = "karpenter"
  namespace  = "karpenter"
  repository = local.others.karpenter.repository
  chart      = "karpenter"
  version    = coalesce(var.versions.karpenter, local.others.karpenter.version)
  timeout    = 300

  values = [file("${var.charts}/others/karpenter.yaml"), yamlencode({
    settings = {
      clusterName       = var.platform.cluster_name
      clusterEndpoint   = var.platform.cluster_endpoint
      interruptionQueue = var.platform.karpenter.queue
    }
    nodeSelector = local.system_selector
    tolerations  = local.system_tolerations
  })]

  depends_on = [helm_release.namespaces]
}

# Destroyed before Karpenter itself, which must still be there to take its nodes down.
resource "helm_release" "karpenter_nodes" {
  count = local.karpenter ? 1 : 0

  name      = "karpenter-nodes"
  namespace = "karpenter"
  chart     = "${path.module}/charts/karpenter-nodes"
  wait      = true
  timeout   = 900

  values = [yamlencode({
    clusterName      = var.platform.cluster_name
    instanceProfile  = var.platform.karpenter.instance_profile
    subnetIds        = var.platform.karpenter.private_subnets
    securityGroupIds = var.platform.karpenter.node_groups
    volumeKeyId      = var.platform.volume_key
    diskGib          = 30
    pools = {
      spot = {
        capacity = "spot"
        labels   = local.spot_selector
        taints   = local.spot_taints
        # Six families in two sizes are twelve pools in every zone.
        families = ["m6g", "m7g", "m8g", "r6g", "r7g", "r8g"]
        sizes    = ["xlarge", "2xlarge"]
        cpuLimit = var.node_limits.spot_cpu
      }
      workers = {
        capacity = "on-demand"
        labels   = local.worker_selector
        taints   = []
        families = ["m7g", "m8g"]
        sizes    = ["xlarge", "2xlarge"]
        cpuLimit = var.node_limits.on_demand_cpu
      }
    }
  })]

  depends_on = [helm_release.karpenter]
}
