output "releases" {
  description = "Installed releases with their versions, by name."
  value = merge(
    { (helm_release.kuberay_operator.name) = helm_release.kuberay_operator.version },
    { (helm_release.monitoring.name) = helm_release.monitoring.version },
    { for release in helm_release.karpenter : release.name => release.version },
    { for release in helm_release.kafka : release.name => release.version },
    { (helm_release.ecap.name) = helm_release.ecap.version },
  )
}
