from __future__ import annotations

from uuid import UUID

from ecap.errors import Conflict, NotFound, PreconditionFailed
from ecap.serve.endpoints.preconditions import IF_MATCH, IF_NONE_MATCH, required_version
from ecap.serve.endpoints.routing import Api, Call, Reply
from ecap.serve.users.models import (
    Address,
    AddressChange,
    Addresses,
    NewAddress,
    Profile,
    ProfileChange,
)
from ecap.serve.users.service import Profiles

api = Api("users", prefix="/api/v1/users", title="ECAP users")


@api.get("/me", scope="profile:read", errors=(NotFound,), headers=IF_NONE_MATCH)
async def get_profile(call: Call[Profiles]) -> Reply[Profile]:
    """Get the profile of the caller."""
    profile = await call.state.own(call.user_id)
    return Reply(profile, etag=str(profile.version))


@api.patch("/me", scope="profile:write", errors=(NotFound, PreconditionFailed), headers=IF_MATCH)
async def change_profile(call: Call[Profiles], body: ProfileChange) -> Reply[Profile]:
    """Change the profile of the caller. Send its ETag as If-Match."""

    async def present() -> int:
        return (await call.state.users.profile(call.user_id)).version

    version = await required_version(call, present)
    await call.state.own(call.user_id)
    profile = await call.state.users.change(call.user_id, body, version=version)
    return Reply(profile, etag=str(profile.version))


@api.get("/me/addresses", scope="profile:read")
async def list_addresses(call: Call[Profiles]) -> Addresses:
    """List the addresses of the caller, oldest first."""
    return Addresses(items=await call.state.users.addresses(call.user_id))


@api.post("/me/addresses", status=201, scope="profile:write", errors=(NotFound, Conflict))
async def add_address(call: Call[Profiles], body: NewAddress) -> Reply[Address]:
    """Add an address.

    The first one becomes the default, and so does each that says so.
    """
    await call.state.own(call.user_id)
    address = await call.state.users.add_address(call.user_id, body)
    location = f"{api.prefix}/me/addresses/{address.id}"
    return Reply(address, etag=str(address.version), headers=(("location", location),))


@api.get("/me/addresses/{address_id}", scope="profile:read", headers=IF_NONE_MATCH)
async def get_address(call: Call[Profiles], address_id: UUID) -> Reply[Address]:
    """Get an address."""
    address = await call.state.users.address(call.user_id, address_id)
    return Reply(address, etag=str(address.version))


@api.patch(
    "/me/addresses/{address_id}",
    scope="profile:write",
    errors=(PreconditionFailed,),
    headers=IF_MATCH,
)
async def change_address(
    call: Call[Profiles], address_id: UUID, body: AddressChange
) -> Reply[Address]:
    """Change an address. Send its ETag as If-Match."""

    async def present() -> int:
        return (await call.state.users.address(call.user_id, address_id)).version

    address = await call.state.users.change_address(
        call.user_id, address_id, body, version=await required_version(call, present)
    )
    return Reply(address, etag=str(address.version))


@api.delete("/me/addresses/{address_id}", status=204, scope="profile:write")
async def delete_address(call: Call[Profiles], address_id: UUID) -> None:
    """Delete an address."""
    await call.state.users.delete_address(call.user_id, address_id)


@api.get("/{user_id}", scope="users:read-all", headers=IF_NONE_MATCH)
async def get_user(call: Call[Profiles], user_id: UUID) -> Reply[Profile]:
    """Get the profile of any user."""
    profile = await call.state.users.profile(user_id)
    return Reply(profile, etag=str(profile.version))


@api.get("/{user_id}/addresses", scope="users:read-all")
async def list_addresses_of(call: Call[Profiles], user_id: UUID) -> Addresses:
    """List the addresses of any user, oldest first."""
    await call.state.users.profile(user_id)
    return Addresses(items=await call.state.users.addresses(user_id))
