"""Studies as Optuna's tools see them."""

from __future__ import annotations

import optuna

from sweeper.store.database import Store


def study_of(store: Store, name: str = "demo/kd") -> optuna.Study:
    return optuna.load_study(study_name=name, storage=store.storage)


def version_of(store: Store, name: str) -> int:
    study_id = store.storage.get_study_id_from_name(name)
    version: int = store.storage.get_study_system_attrs(study_id)["dashboard:note_ver"]
    return version
