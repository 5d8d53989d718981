# A chart and not create_namespace: the labels that enforce Pod Security stand before the first pod.
resource "helm_release" "namespaces" {
  name      = "namespaces"
  namespace = "kube-system"
  chart     = "${path.module}/charts/namespaces"
  lint      = true

  values = [yamlencode({
    namespaces = merge(
      {
        ecap           = "restricted"
        ecap-config    = "restricted" # settings that are changed while ECAP runs; no pods
        kuberay-system = "restricted"
        monitoring     = "privileged" # node-exporter reads the host
      },
      var.platform.karpenter == null ? {} : { karpenter = "restricted" },
      try(var.platform.vault.in_cluster, false) ? { vault = "restricted" } : {},
    )
  })]
}
