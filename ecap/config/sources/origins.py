"""What the hub's process opens to know what every source says, from its environment alone."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from ecap import logs
from ecap.config.layers import assembly, environment
from ecap.config.layers.layer import Layer, Source, combined
from ecap.config.secrets.folders import SecretFiles
from ecap.config.secrets.keyring import live
from ecap.config.secrets.keyring.live import LiveKeyring
from ecap.config.secrets.readers import Reader, SecretReaders, from_keyring
from ecap.config.secrets.vault import kv
from ecap.config.secrets.vault.session import VaultSession
from ecap.config.settings.tree import Settings
from ecap.config.sources import kubernetes_api, startup
from ecap.config.sources.files import FileSource
from ecap.config.sources.kubernetes import KubernetesSource, as_layer
from ecap.config.sources.secret_files import SecretFileSource
from ecap.config.sources.source import EnvironmentSource, LiveSource, SourceHealth
from ecap.config.sources.vault import VaultSource

_log = logs.get("ecap.config")


@dataclass(frozen=True)
class Origins:
    settings: Settings
    """As the process loaded them by itself; only what connects is of interest."""
    given: Mapping[Source, Layer] = field(repr=False)
    """What every source says at the start."""
    sources: tuple[LiveSource, ...]
    files: FileSource
    secret_files: SecretFileSource
    secrets: SecretReaders
    keyring: LiveKeyring
    """Whoever opened this watches it."""
    vault: VaultSession | None


@asynccontextmanager
async def open_origins(
    environ: Mapping[str, str],
    *,
    clock: Callable[[], float],
    wall: Callable[[], float],
    rng: random.Random,
) -> AsyncIterator[Origins]:
    """Raises Misconfigured when something needed is missing, Unavailable when it is away."""
    accepted, refused = startup.usable_files(environ)
    from_variables = environment.read(environ)
    known = startup.with_variables(accepted, environ)
    settings = assembly.draft(known, environ).unread()
    if refused is not None:
        _log.warning("files are refused, the last accepted ones count: %s", refused)
    keys = await live.found(settings, environ, clock=clock)
    first = keys.ring
    age_s = first.age_s(now=wall())
    if age_s is not None and age_s > settings.keyring.max_age_s:
        _log.warning("the encryption key is old", extra={"key": first.primary.id, "age_s": age_s})
    given: dict[Source, Layer] = {
        **accepted,
        "environment": from_variables,
    }
    files = _files(environ, settings, wall)
    secret_files = SecretFileSource(
        SecretFiles.of(settings.secrets, state_dir=settings.state_dir),
        poll_s=settings.hub.file_poll_s,
        settle_s=settings.hub.file_settle_s,
        health=SourceHealth("secret files", wall=wall),
    )
    sources: list[LiveSource] = [
        files,
        secret_files,
        EnvironmentSource(given["environment"], health=SourceHealth("environment", wall=wall)),
    ]
    readers: dict[str, Reader] = {"file": secret_files.read, "enc": from_keyring(keys)}
    session: VaultSession | None = None
    async with AsyncExitStack() as stack:
        if settings.vault.address is not None:
            session = VaultSession(settings.vault, clock=clock, rng=rng)
            health = SourceHealth("vault", wall=wall)
            found = VaultSource(settings.vault, session, health=health)
            path = settings.vault.config_path
            if path is not None:
                secret = await session.call(lambda opened: opened.secret(path))
                given["vault"] = kv.as_layer(path, secret)
            readers["vault"] = found.read
            sources.append(found)
        if settings.kubernetes.enabled:
            api = await stack.enter_async_context(kubernetes_api.open_api(settings.kubernetes))
            health = SourceHealth("kubernetes", wall=wall)
            watched = KubernetesSource(api, settings.kubernetes, health=health, rng=rng)
            maps, _ = await api.list("configmaps")
            kept, _ = await api.list("secrets")
            parts = [as_layer(item) for items in (maps, kept) for _, item in sorted(items.items())]
            given["kubernetes"] = combined(Layer("kubernetes", {}), *parts)
            readers["k8s"] = watched.read
            sources.append(watched)
        found_secrets = SecretReaders(readers)
        yield Origins(
            settings, given, tuple(sources), files, secret_files, found_secrets, keys, session
        )


def _files(environ: Mapping[str, str], settings: Settings, wall: Callable[[], float]) -> FileSource:
    folder = startup.config_dir(environ)
    names = ("base", startup.environment_name(environ))
    return FileSource(
        tuple(folder / f"{name}.yaml" for name in names),
        lambda: startup.files(environ),
        debounce_s=settings.hub.debounce_s,
        poll_s=settings.hub.file_poll_s,
        settle_s=settings.hub.file_settle_s,
        health=SourceHealth("files", wall=wall),
    )
