"""VPCs: what is still in use is not deleted, what is deleted leaves nothing, errors have AWS' own codes."""

from typing import Any

from boatyard.sandbox.aws.extension.mend import compute, mend


def install() -> None:
    """Mend moto's subnets, network interfaces, security group rules, NAT gateways, addresses and DHCP options."""
    _nat_gateways()
    _addresses()
    _dhcp_options()
    from moto.ec2.exceptions import DependencyViolationError
    from moto.ec2.models.instances import Instance
    from moto.ec2.models.security_groups import SecurityGroupRule
    from moto.ec2.models.subnets import SubnetBackend

    mend(SecurityGroupRule, "__init__")(_rule)

    @mend(SubnetBackend, "delete_subnet")
    def delete_subnet(original: Any, backend: Any, subnet_id: str) -> Any:
        """Refused while something is in it; takes its place in route tables along."""
        if why := _inside(backend, subnet_id):
            raise DependencyViolationError(f"The subnet '{subnet_id}' has dependencies and cannot be deleted: {why}.")
        deleted = original(backend, subnet_id)
        for table in backend.route_tables.values():
            for association in [key for key, target in table._associations.items() if target == subnet_id]:
                del table._associations[association]
        return deleted

    @mend(Instance, "prep_nics")
    def prep_nics(original: Any, instance: Any, nic_spec: list[dict[str, Any]], **kwargs: Any) -> None:
        """An interface made for an instance ends with it, unless it was asked to stay."""
        nics = nic_spec or [{"DeviceIndex": 0}]
        for nic in nics:
            if not nic.get("NetworkInterfaceId"):
                nic.setdefault("DeleteOnTermination", True)
        original(instance, nics, **kwargs)


def _rule(
    original: Any,
    rule: Any,
    ec2_backend: Any,
    ip_protocol: str,
    group_id: str,
    from_port: str | None,
    to_port: str | None,
    *args: Any,
    **kwargs: Any,
) -> None:
    """A protocol without ports, such as Calico's IP in IP, needs none."""
    without = from_port is None and to_port is None
    ports = (0, 0) if without else (from_port, to_port)
    original(rule, ec2_backend, ip_protocol, group_id, *ports, *args, **kwargs)
    if without:
        rule.from_port = rule.to_port = None


def _dhcp_options() -> None:
    from moto.ec2.exceptions import InvalidDHCPOptionsIdError
    from moto.ec2.responses.dhcp_options import DHCPOptions
    from moto.ec2.utils import add_tag_specification

    @mend(InvalidDHCPOptionsIdError, "__init__")
    def not_found(original: Any, error: Any, dhcp_options_id: str) -> None:
        original(error, dhcp_options_id)
        error.error_type = error.code = "InvalidDhcpOptionsID.NotFound"

    @mend(DHCPOptions, "create_dhcp_options")
    def create_dhcp_options(original: Any, response: Any) -> Any:
        """With the tags that the same request gives them."""
        made = original(response)
        made.result["DhcpOptions"].add_tags(add_tag_specification(response._get_param("TagSpecifications", [])))
        return made


def _nat_gateways() -> None:
    from moto.ec2.exceptions import EC2ClientError
    from moto.ec2.models.nat_gateways import NatGatewayBackend
    from moto.ec2.models.route_tables import Route

    def known(backend: Any, ids: Any) -> None:
        for each in ids or ():
            if each not in backend.nat_gateways:
                raise EC2ClientError("NatGatewayNotFound", f"The Nat Gateway {each} was not found")

    @compute(Route, "state")
    def state(route: Any) -> str:
        """A route stays when its NAT gateway goes, and leads nowhere then."""
        return "blackhole" if route.nat_gateway is not None and route.nat_gateway.state == "deleted" else "active"

    @mend(NatGatewayBackend, "delete_nat_gateway")
    def delete_nat_gateway(original: Any, backend: Any, nat_gateway_id: str) -> Any:
        """Its network interface goes along, and its address is free again; it stays the account's."""
        known(backend, [nat_gateway_id])
        deleted = original(backend, nat_gateway_id)
        eni = deleted._eni
        for address in [each for each in backend.addresses if each.eni is not None and each.eni.id == eni.id]:
            backend.disassociate_address(association_id=address.association_id)
        if eni.id in backend.enis:
            backend.delete_network_interface(eni.id)
        return deleted

    @mend(NatGatewayBackend, "describe_nat_gateways")
    def describe_nat_gateways(original: Any, backend: Any, filters: Any, nat_gateway_ids: Any) -> Any:
        """Also by tags. One that is deleted is told of on, with the address that it had."""
        known(backend, nat_gateway_ids)
        found = original(backend, filters, nat_gateway_ids)
        for name, values in (filters or {}).items():
            if name.startswith("tag:"):
                found = [each for each in found if _tags(each).get(name.removeprefix("tag:")) in values]
            elif name == "tag-key":
                found = [each for each in found if _tags(each).keys() & set(values)]
        return found


def _addresses() -> None:
    from moto.ec2.exceptions import EC2ClientError
    from moto.ec2.models.elastic_ip_addresses import ElasticAddressBackend

    @mend(ElasticAddressBackend, "release_address")
    def release_address(original: Any, backend: Any, address: Any = None, allocation_id: Any = None) -> None:
        """Refused while something has it."""
        for each in backend.addresses:
            if each.allocation_id == allocation_id is not None and each.association_id is not None:
                said = f"Address {each.public_ip} is in use."
                raise EC2ClientError("InvalidIPAddress.InUse", said)
        original(backend, address, allocation_id)


def _tags(resource: Any) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in resource.get_tags()}


def _inside(backend: Any, subnet_id: str) -> str:
    """What keeps a subnet from being deleted; empty when nothing does."""
    from moto.elb.models import elb_backends
    from moto.elbv2.models import elbv2_backends

    for eni in backend.enis.values():
        if getattr(eni.subnet, "id", "") == subnet_id:
            return f"network interface {eni.id}"
    balancers: list[Any] = [
        *elb_backends[backend.account_id][backend.region_name].load_balancers.values(),
        *elbv2_backends[backend.account_id][backend.region_name].load_balancers.values(),
    ]
    for balancer in balancers:
        if any(getattr(subnet, "id", subnet) == subnet_id for subnet in balancer.subnets):
            return f"load balancer {balancer.name}"
    return ""
