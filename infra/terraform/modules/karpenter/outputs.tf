output "queue_name" {
  description = "Interruption queue, for the chart's settings.interruptionQueue."
  value       = aws_sqs_queue.interruption.name

  depends_on = [
    aws_cloudwatch_event_target.interruption,
    aws_eks_pod_identity_association.controller,
    aws_iam_role_policy.controller,
    aws_sqs_queue_policy.interruption,
  ]
}

output "instance_profile_name" {
  description = "Instance profile for EC2NodeClass.spec.instanceProfile."
  value       = aws_iam_instance_profile.node.name
}

output "controller_role_arn" {
  description = "Role of Karpenter's pods."
  value       = aws_iam_role.controller.arn
}
