# Where no MSK is paid for. It may lose everything: the outbox notices and refills it.
resource "helm_release" "kafka" {
  count = var.platform.kafka == null ? 1 : 0

  name      = "kafka"
  namespace = "ecap"
  chart     = "${var.charts}/kafka-dev"
  timeout   = 300

  values = [yamlencode({
    nodeSelector = local.spot_selector
    tolerations  = local.spot_tolerations
  })]

  depends_on = [helm_release.namespaces]
}
