#!/bin/sh
# Take out of an environment what a service never reads: debugging symbols, the libraries' own tests, pip.
#   slim.sh ENVIRONMENT
set -eu
libraries=$(echo "$1"/lib/python3.*/site-packages)
find "$libraries" -type d \( -name tests -o -name test \) -prune -exec rm -rf {} +
# Not the libraries that came along (*.libs): their layout was edited, and strip breaks what it does not understand.
# Nor any beside CUDA's, whose code nothing can try where images are made.
[ -d "$libraries"/nvidia ] ||
    find "$libraries" -name '*.libs' -prune -o -type f -name '*.so*' -exec strip --strip-unneeded {} + 2>/dev/null || true
# A second copy of onnxruntime for C programs, its tools, and the other forms of the two models read as ONNX files.
rm -rf "$libraries"/onnxruntime/capi/libonnxruntime.so* "$libraries"/onnxruntime/transformers \
    "$libraries"/onnxruntime/tools "$libraries"/onnxruntime/quantization
find "$libraries" -path '*/silero_vad/data/*' -type f ! -name silero_vad_16k_sequence.onnx -delete
