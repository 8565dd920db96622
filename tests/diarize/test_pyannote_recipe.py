"""What a pipeline's config.yaml may ask for, read as data; and overlapping turns made exclusive. No pyannote needed."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from common.errors import ApiError
from diarize.engines.pyannote.recipe import EMBEDDING, MAX_BYTES, SEGMENTATION, Part, parse_recipe
from diarize.engines.pyannote.turns import one_at_a_time

COMMUNITY = """
dependencies:
  pyannote.audio: 4.0.0

pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: VBxClustering
    segmentation: $model/segmentation
    segmentation_batch_size: 32
    embedding: $model/embedding
    embedding_batch_size: 32
    embedding_exclude_overlap: true
    plda: $model/plda

params:
  clustering:
    threshold: 0.6
    Fa: 0.07
    Fb: 0.8
  segmentation:
    min_duration_off: 0.0
"""
THREE_ONE = """
version: 3.1.0

pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: AgglomerativeClustering
    embedding: pyannote/wespeaker-voxceleb-resnet34-LM
    embedding_batch_size: 32
    embedding_exclude_overlap: true
    segmentation: pyannote/segmentation-3.0
    segmentation_batch_size: 32

params:
  clustering:
    method: centroid
    min_cluster_size: 12
    threshold: 0.7045654963945799
  segmentation:
    min_duration_off: 0.0
"""


def changed(place: str, value: Any) -> bytes:
    """community-1's config with one value set (a new one too)."""
    config = yaml.safe_load(COMMUNITY)
    section = config
    *sections, name = place.split("/")
    for key in sections:
        section = section[key]
    section[name] = value
    return yaml.safe_dump(config).encode()


def test_community_1_is_made_of_its_own_folders() -> None:
    recipe = parse_recipe(COMMUNITY.encode())
    assert (recipe.segmentation, recipe.embedding) == (Part(folder="segmentation"), Part(folder="embedding"))
    assert (recipe.plda, recipe.clustering, recipe.exclude_overlap) == (Part(folder="plda"), "VBxClustering", True)
    assert recipe.repositories == []
    assert recipe.params["clustering"] == {"threshold": 0.6, "Fa": 0.07, "Fb": 0.8}


def test_3_1_is_made_of_two_other_repositories() -> None:
    recipe = parse_recipe(THREE_ONE.encode())
    assert recipe.repositories == [SEGMENTATION, EMBEDDING]
    assert recipe.plda is None
    assert recipe.params["clustering"]["method"] == "centroid"


@pytest.mark.parametrize(
    ("place", "folder"),
    [("$model/a/b", "a/b"), ("a", "a"), ("a/pytorch_model.bin", "a"), ("$model/a/pytorch_model.bin", "a")],
)
def test_a_folder_of_its_own(place: str, folder: str) -> None:
    assert parse_recipe(changed("pipeline/params/embedding", place)).embedding == Part(folder=folder)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("pipeline/name", "os.system", "os.system n'est pas SpeakerDiarization"),
        ("pipeline/name", "evil.pipelines.SpeakerDiarization", "evil.pipelines"),
        ("pipeline/name", None, "SpeakerDiarization"),
        ("preprocessors", {"audio": {"name": "subprocess.Popen", "params": {"args": "x"}}}, "preprocessors"),
        ("freeze", {}, "freeze"),
        ("device", "cuda:7", "device"),
        ("pipeline/params/token", "hf_x", "pipeline.params.token"),
        ("pipeline/params/cache_dir", "/etc", "pipeline.params.cache_dir"),
        ("pipeline/params/segmentation", "someone/else", "someone/else"),
        ("pipeline/params/segmentation", "../segmentation", "../segmentation"),
        ("pipeline/params/segmentation", "$model/../x", "$model/../x"),
        ("pipeline/params/segmentation", "$model/a/b/c", "$model/a/b/c"),
        ("pipeline/params/segmentation", "/etc/passwd", "/etc/passwd"),
        ("pipeline/params/segmentation", "pyannote/segmentation", "pyannote/segmentation"),
        ("pipeline/params/segmentation", {"checkpoint": "someone/else"}, "segmentation"),
        ("pipeline/params/embedding", "https://example.org/x", "example.org"),
        ("pipeline/params/plda", SEGMENTATION, "plda"),
        ("pipeline/params/clustering", "OracleClustering", "OracleClustering"),
        ("pipeline/params/clustering", ["VBxClustering"], "clustering"),
        ("pipeline/params/segmentation_step", 0, "segmentation_step"),
        ("pipeline/params/segmentation_step", float("nan"), "segmentation_step"),
        ("pipeline/params/embedding_exclude_overlap", "yes", "embedding_exclude_overlap"),
        ("params/clustering", [1], "params.clustering"),
        ("params/clustering/Fa", float("inf"), "params.clustering.Fa"),
        ("params/clustering/Fa", {"a": 1}, "params.clustering.Fa"),
        ("params/evil", {}, "params.evil"),
        ("pipeline", "x", "pipeline"),
        ("dependencies", {"pyannote.audio": "5.0.0"}, "pyannote.audio 5.0.0"),
        ("dependencies", {"speechbrain": "1.0"}, "speechbrain"),
        ("version", "5.1.0", "pyannote.audio 5.1.0"),
    ],
)
def test_what_a_config_may_not_ask_is_refused_by_its_name(place: str, value: Any, said: str) -> None:
    with pytest.raises(ApiError, match="model_unusable") as refused:
        parse_recipe(changed(place, value))
    assert refused.value.status == 422
    assert said in str(refused.value.message)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"- 1",
        b"\xff\xfe",
        b"a: [",
        b"[" * 30_000,
        b"!!python/object/apply:os.system ['true']",
        b"a: !!python/name:os.system",
        b"a: &a [*a]",
        b"#" * (MAX_BYTES + 1),
    ],
)
def test_what_is_no_config_is_refused(data: bytes) -> None:
    with pytest.raises(ApiError, match="model_unusable"):
        parse_recipe(data)


@pytest.mark.parametrize(
    ("turns", "alone"),
    [
        ([], ()),
        ([(0, 0.0, 1.0), (1, 2.0, 3.0)], ((0, 0.0, 1.0), (1, 2.0, 3.0))),
        ([(0, 0.0, 2.0), (1, 1.0, 3.0)], ((0, 0.0, 2.0), (1, 2.0, 3.0))),
        ([(0, 0.0, 4.0), (1, 1.0, 2.0)], ((0, 0.0, 4.0),)),
        ([(1, 1.0, 2.0), (0, 0.0, 4.0), (2, 3.0, 5.0)], ((0, 0.0, 4.0), (2, 4.0, 5.0))),
        ([(0, 0.0, 1.0), (0, 1.0, 2.0)], ((0, 0.0, 2.0),)),
        ([(0, 0.0, 1.0), (1, 0.0, 1.0), (2, 0.5, 1.5)], ((0, 0.0, 1.0), (2, 1.0, 1.5))),
        ([(0, 1.0, 1.0)], ()),
    ],
)
def test_one_speaker_at_a_time(turns: list[tuple[int, float, float]], alone: tuple[Any, ...]) -> None:
    assert one_at_a_time(turns) == alone
