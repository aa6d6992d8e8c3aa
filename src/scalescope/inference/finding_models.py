"""From what a person types to a model: a registry name, a folder, a configuration file, a hub id.

Code that comes with a model is never run and pickled weights are never read, whatever the source.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from scalescope.errors import InputError, MissingExtraError, nearest
from scalescope.inference.anatomy import COUNTED
from scalescope.inference.kept_anatomies import KeptAnatomy, kept_anatomy
from scalescope.inference.models import Model
from scalescope.inference.registry import Registry, load_registry
from scalescope.points import Finding

PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack")
HUB_ID = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?")
LARGEST_CONFIG = 5_000_000
"""Bytes; a configuration is a few thousand."""
PATIENCE = 5.0
"""Seconds to wait for the hub's answer."""


def find_model(text: str, *, online: bool = True, download_weights: bool = False) -> Model:
    """Find a model by what a person would type.

    Parameters
    ----------
    text
        Name in the registry or the last part of it where that is unique, whatever the case; a folder with
        `config.json` and perhaps safetensors; a configuration as a JSON file; else an id of the hub.
    online
        Whether the hub may be asked for what is not known here.
    download_weights
        Whether safetensors are fetched from the hub too; without them weights are drawn at random.

    Returns
    -------
    Model
        With its anatomy; `weights` is set if it has safetensors of its own.

    Raises
    ------
    InputError
        If nothing fits (nearest names in the hint) or more than one does, the type is unknown, values cannot
        be, or the model would need code of its own or pickled weights.
    MissingExtraError
        If it is not in the registry and transformers is not installed.
    """
    name = text.strip()
    if not name:
        raise InputError("the name of a model is empty", hint="`scalescope models` lists names.")
    path = Path(name).expanduser()
    if name.startswith((".", "/", "~")) or name.endswith(".json"):
        return _from_path(name, path)
    registry = load_registry()
    found = registry.matching(name)
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(model.name for model in found)
        raise InputError(f"{len(found)} models are called {name!r}", hint=f"Say which: {names}.")
    if _present(path):
        return _from_path(name, path)
    return _from_hub(name, registry, online=online, download_weights=download_weights)


def model_of(name: str, config: Mapping[str, Any], *, source: str, weights: Path | None = None) -> Model:
    """Make a model of the contents of a `config.json`.

    Raises
    ------
    InputError
        If the type is missing or unknown, or the values make no model.
    MissingExtraError
        If transformers is not installed.
    """
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or not model_type:
        raise InputError(f"{source} names no model_type", hint='Add one, such as "model_type": "bert".')
    kwargs = {key: value for key, value in config.items() if key != "model_type"}
    kept = kept_anatomy(model_type, kwargs, lambda: _read_anatomy(model_type, kwargs, source))
    return Model(
        name=name,
        architecture=kept.architecture,
        model_type=model_type,
        config=kwargs,
        source=source,
        sureness="read from the configuration",
        anatomy=kept.anatomy,
        weights=weights,
    )


def _read_anatomy(model_type: str, config: Mapping[str, Any], source: str) -> KeptAnatomy:
    from scalescope.inference.anatomy import anatomy_of, digest_of
    from scalescope.inference.anatomy_building import build, known_types

    if model_type not in known_types():
        if config.get("auto_map"):
            raise InputError(
                f"{source} needs code of its own for model type {model_type!r}",
                hint="Code that comes with a model is never run (trust_remote_code stays off).",
            )
        raise InputError(
            f"{source}: unknown model type {model_type!r}", hint=nearest(model_type, known_types())
        )
    built = build(model_type, config)
    anatomy = anatomy_of(model_type, config, built=built)
    return KeptAnatomy(architecture=digest_of(built, anatomy), anatomy=anatomy)


def doubts_about(model: Model) -> tuple[Finding, ...]:
    """Say what is not certain about a model's numbers before anything runs."""
    found = []
    if model.sureness.startswith("B"):
        found.append(
            Finding(
                code="BEN001",
                text=f"{model.name}: configuration typed in, no published count was at hand to check it.",
                hint="Compare its parameters with the model's page, or give its config.json.",
            )
        )
    if model.model_type not in COUNTED:
        found.append(
            Finding(
                code="BEN002",
                text=f"The FLOP of model type {model.model_type} were never compared with a counter.",
                hint="Predictions for it may be off; measured figures are not.",
            )
        )
    if model.config.get("auto_map"):
        found.append(
            Finding(
                code="BEN003",
                text=f"{model.name} comes with code of its own, which is not run; transformers' class is.",
                hint="The model's own code may be faster or slower.",
            )
        )
    return tuple(found)


def read_config(path: Path) -> dict[str, Any]:
    """Read a configuration file.

    Raises
    ------
    InputError
        If it is absent, too large, or not a JSON object.
    """
    try:
        if path.stat().st_size > LARGEST_CONFIG:
            raise InputError(
                f"{path} has {path.stat().st_size:,} bytes: no configuration", hint="Give the config.json."
            )
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", hint="Check the path.") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}", hint="The file may be truncated.") from None
    if not isinstance(data, dict):
        raise InputError(f"{path} does not hold a configuration", hint="Expected a JSON object.")
    return data


def own_weights(folder: Path) -> Path | None:
    """Return the folder if it holds safetensors, None if it holds no weights at all.

    Raises
    ------
    InputError
        If its weights are pickled only.
    """
    if any(folder.glob("*.safetensors")):
        return folder
    pickled = sorted(path.name for pattern in PICKLED for path in folder.glob(pattern))
    if pickled:
        raise InputError(
            f"{folder} holds pickled weights only: {', '.join(pickled[:3])}",
            hint="Pickles can run code when read. Save it as safetensors, or give its config.json alone.",
        )
    return None


def _from_path(name: str, path: Path) -> Model:
    if not _present(path):
        hint = "Check the path; a bare name is looked up instead."
        raise InputError(f"no such file or folder: {name!r}", hint=hint)
    if path.is_dir():
        config = path / "config.json"
        if not config.is_file():
            raise InputError(f"{path} has no config.json", hint="Give the folder that save_pretrained wrote.")
        return model_of(
            path.resolve().name, read_config(config), source=str(config), weights=own_weights(path)
        )
    if path.suffix != ".json":
        raise InputError(
            f"{name} is neither a folder nor a JSON file", hint="Give a config.json or its folder."
        )
    return model_of(_name_of(path), read_config(path), source=str(path))


def _present(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # too long for a path, or not ours to look at
        return False


def _name_of(path: Path) -> str:
    """Name a configuration by its folder where the file has the common name."""
    return path.resolve().parent.name if path.name == "config.json" else path.stem


def _from_hub(name: str, registry: Registry, *, online: bool, download_weights: bool) -> Model:
    known = {*registry.names, *(model.short for model in registry)}
    hint = closest(name, known)
    if not HUB_ID.fullmatch(name) or not online:
        raise InputError(f"unknown model {name!r}", hint=hint)
    try:
        folder = fetch(name, download_weights=download_weights)
    except MissingExtraError:
        raise InputError(f"unknown model {name!r}, and nothing here to ask the hub with", hint=hint) from None
    except Exception as error:
        why = type(error).__name__
        raise InputError(f"unknown model {name!r}, and the hub has no answer ({why})", hint=hint) from None
    source = f"https://huggingface.co/{name}/blob/main/config.json"
    weights = own_weights(folder) if download_weights else None
    return model_of(name, read_config(folder / "config.json"), source=source, weights=weights)


def fetch(name: str, *, download_weights: bool) -> Path:
    """Fetch the configuration, and safetensors if wanted, from the hub or its local cache; nothing else.

    Raises
    ------
    MissingExtraError
        If the hub's client is not installed.
    """
    try:
        import huggingface_hub as hub
        from huggingface_hub import constants
    except ImportError:
        raise MissingExtraError("huggingface_hub", "bench") from None
    away = not reachable(constants.ENDPOINT) or constants.HF_HUB_OFFLINE
    wanted = ["config.json", *(["*.safetensors", "*.safetensors.index.json"] if download_weights else [])]
    return Path(
        hub.snapshot_download(name, allow_patterns=wanted, etag_timeout=PATIENCE, local_files_only=away)
    )


def reachable(endpoint: str) -> bool:
    """Whether a server answers, or a proxy is set; asked first because the hub's client retries long."""
    address = urlsplit(endpoint)
    if address.scheme in getproxies():
        return True
    port = address.port or (80 if address.scheme == "http" else 443)
    try:
        socket.create_connection((address.hostname or "", port), timeout=PATIENCE).close()
    except OSError:
        return False
    return True


def closest(name: str, known: set[str]) -> str:
    """Return the nearest names whatever the case, or where to look."""
    spelled = {one.casefold(): one for one in sorted(known)}
    hint = nearest(name.casefold(), spelled)
    if not hint.startswith("Did you mean"):
        return "`scalescope models` lists names; a folder or a config.json does too."
    close = hint.removeprefix("Did you mean ").removesuffix("?").split(" or ")
    return f"Did you mean {' or '.join(spelled[one] for one in close)}?"
