"""On the PYTHONPATH of a child process of the tests: torchaudio without its compiled extension.

pip's torchaudio 2.11 is built for CUDA and its extension does not load beside a CPU torch. pyannote.audio uses only
what is written in Python in it (`functional.resample`, `compliance.kaldi.fbank`); the product's images install a
torchaudio that fits their torch.
"""

from __future__ import annotations

import sys
from types import ModuleType

_extension = ModuleType("torchaudio._extension")
_extension.__dict__.update(
    _IS_TORCHAUDIO_EXT_AVAILABLE=False, _IS_ALIGN_AVAILABLE=False, fail_if_no_align=lambda function: function
)
sys.modules["torchaudio._extension"] = _extension
