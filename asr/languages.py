"""ISO 639-1 codes, as the `language` parameter takes them ("fr", "fr-FR", "pt_BR")."""

from __future__ import annotations

from common.errors import ApiError
from common.messages import Text, _

_ISO_639_1 = (
    "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en "
    "eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv "
    "ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne "
    "ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st "
    "su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu"
)
CODES = frozenset(_ISO_639_1.split())


def language_code(value: str | None, param: str = "language") -> str | None:
    """The two-letter code, or None when nothing (or "auto") was asked. Raises ApiError 400 invalid_language."""
    asked = (value or "").strip()
    if not asked or asked.lower() == "auto":
        return None
    code = asked.lower().replace("_", "-").split("-")[0]
    if code not in CODES:
        message = _(
            "Langue inconnue : « %(language)s ». Un code ISO 639-1 est attendu, comme fr ou en.", language=asked[:40]
        )
        raise ApiError(400, "invalid_language", message, param)
    return code


_NAMES = {
    "ar": _("arabe"),
    "bg": _("bulgare"),
    "ca": _("catalan"),
    "cs": _("tchèque"),
    "da": _("danois"),
    "de": _("allemand"),
    "el": _("grec"),
    "en": _("anglais"),
    "es": _("espagnol"),
    "et": _("estonien"),
    "fi": _("finnois"),
    "fr": _("français"),
    "hr": _("croate"),
    "hu": _("hongrois"),
    "it": _("italien"),
    "ja": _("japonais"),
    "ko": _("coréen"),
    "lt": _("lituanien"),
    "lv": _("letton"),
    "mt": _("maltais"),
    "nl": _("néerlandais"),
    "pl": _("polonais"),
    "pt": _("portugais"),
    "ro": _("roumain"),
    "ru": _("russe"),
    "sk": _("slovaque"),
    "sl": _("slovène"),
    "sv": _("suédois"),
    "tr": _("turc"),
    "uk": _("ukrainien"),
    "zh": _("chinois"),
}


def language_name(code: str) -> Text | str:
    """The language's name for a reader, or its code when it is a rare one."""
    return _NAMES.get(code, code)


_ENGLISH = {
    "ar": "arabic",
    "bg": "bulgarian",
    "ca": "catalan",
    "cs": "czech",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "et": "estonian",
    "eu": "basque",
    "fa": "persian",
    "fi": "finnish",
    "fr": "french",
    "ga": "irish",
    "gl": "galician",
    "he": "hebrew",
    "hi": "hindi",
    "hr": "croatian",
    "hu": "hungarian",
    "id": "indonesian",
    "is": "icelandic",
    "it": "italian",
    "ja": "japanese",
    "ko": "korean",
    "lb": "luxembourgish",
    "lt": "lithuanian",
    "lv": "latvian",
    "mt": "maltese",
    "nl": "dutch",
    "no": "norwegian",
    "oc": "occitan",
    "pl": "polish",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sk": "slovak",
    "sl": "slovenian",
    "sr": "serbian",
    "sv": "swedish",
    "th": "thai",
    "tr": "turkish",
    "uk": "ukrainian",
    "vi": "vietnamese",
    "zh": "chinese",
}


def english_name(code: str) -> str:
    """The language as OpenAI's verbose answers name it ("french"), or its code when it is a rare one."""
    return _ENGLISH.get(code, code)
