#!/bin/sh
# Print the first Python that can run Frigo (3.11 or newer, with venv), or say in one sentence what is missing.
# PYTHON chooses one.
found=
for candidate in ${PYTHON:-python3.11 python3 python3.12 python3.13}; do
    path=$(command -v "$candidate") || continue
    said=$("$path" -c '
import sys
print(".".join(str(part) for part in sys.version_info[:2]))
if sys.version_info >= (3, 11):
    import ensurepip, venv
    print("ok")' 2>/dev/null)
    case $said in
    *ok)
        echo "$path"
        exit 0
        ;;
    3.1[1-9] | 3.[2-9][0-9])
        echo "Le module venv de $path manque : installez-le (sous Debian ou Ubuntu : apt-get install python3-venv)." >&2
        exit 1
        ;;
    esac
    found="$found $said"
done
if [ -n "$found" ]; then
    echo "Frigo demande Python 3.11 ou plus récent ; trouvé :$found. Installez-en un, ou désignez-le par PYTHON=/chemin/vers/python3." >&2
else
    echo "Python est introuvable : installez Python 3.11 ou plus récent, ou désignez-le par PYTHON=/chemin/vers/python3." >&2
fi
exit 1
