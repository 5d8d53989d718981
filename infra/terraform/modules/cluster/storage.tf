# The default class. Volumes carry our key, whatever the account's own default is.
resource "helm_release" "storage" {
  name      = "storage"
  namespace = "kube-system"
  chart     = "${path.module}/charts/storage"
  lint      = true

  values = [yamlencode({ kmsKeyId = var.platform.volume_key })]
}
