#!/bin/sh
# Take out of the Mermaid parser's libraries what Node never imports: maps, types, and Mermaid's builds for browsers.
#   slim-node.sh NODE_MODULES
set -eu
find "$1" -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.md' \) -delete
rm -rf "$1"/mermaid/dist/mermaid.js "$1"/mermaid/dist/mermaid.min.js "$1"/mermaid/dist/chunks/mermaid.esm \
    "$1"/mermaid/dist/chunks/mermaid.esm.min "$1"/mermaid/dist/mermaid.esm.* "$1"/@types
