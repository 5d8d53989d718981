"""Policies name what they allow. That the code calls it, too, is usage.py's business."""

from collections.abc import Iterator

from plans import Plan, Policy

# Actions that know no resources, by IAM's own tables.
WITHOUT_RESOURCE = {
    "ec2:DescribeCapacityReservations", "ec2:DescribeImages", "ec2:DescribeInstanceStatus",
    "ec2:DescribeInstanceTypeOfferings", "ec2:DescribeInstanceTypes", "ec2:DescribeInstances",
    "ec2:DescribeLaunchTemplates", "ec2:DescribeSecurityGroups", "ec2:DescribeSpotPriceHistory",
    "ec2:DescribeSubnets", "pricing:GetProducts",
}  # fmt: skip
MANAGED = {
    "AmazonEKSClusterPolicy", "AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly",
    "AmazonSSMManagedInstanceCore", "AmazonEKS_CNI_Policy", "service-role/AmazonEBSCSIDriverPolicy",
    "service-role/AmazonRDSEnhancedMonitoringRole",
}  # fmt: skip


def check(plan: Plan) -> list[tuple[str, str]]:
    found = [(s.where, what) for s in plan.statements() for what in faults(s)]
    return [*found, *attachments(plan)]


def faults(statement: Policy) -> Iterator[str]:
    if statement.negated:
        yield f"{statement.sid!r} says what is not meant (not_actions, not_resources)"
    if statement.effect != "Allow" or statement.sid == "AccountDelegatesToIam":
        return
    in_key_policy = bool(statement.principals) and all(
        a.startswith("kms:") for a in statement.actions
    )
    for action in statement.actions:
        if action == "*" or action.endswith(":*"):
            yield f"{statement.sid!r} allows {action}"
    if "*" in statement.resources and not in_key_policy:
        for action in sorted(set(statement.actions) - WITHOUT_RESOURCE):
            yield f"{statement.sid!r} allows {action} on every resource"
    if "iam:PassRole" in statement.actions and "iam:PassedToService" not in statement.conditions:
        yield f"{statement.sid!r} may pass a role to any service"


def attachments(plan: Plan) -> Iterator[tuple[str, str]]:
    for attachment in plan.resources("aws_iam_role_policy_attachment"):
        name = str(attachment.values["policy_arn"]).split(":policy/", 1)[-1]
        if name not in MANAGED:
            yield (
                attachment.address,
                f"attaches {name}: write a policy of our own, or add it to MANAGED with care",
            )
