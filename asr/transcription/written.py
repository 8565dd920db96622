"""In which language a text is written, told by its little words.

For models that hear the language and do not say which (Parakeet): minutes are then written in the right one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Set

# The most usual words of the languages that such models know. A word of several languages counts for each.
_WORDS = {
    "bg": "и на да се от за не че по са с в това ще как като той тя към или беше има",
    "cs": "a se na je že v to s z do o i jako by ale jsou jsem bylo také nebo pro který už když tak",
    "da": "og i at er det en den til af på de med for ikke der som har jeg vi han et blev også var kan",
    "de": "der die das und ist in zu den nicht mit von es ein eine sich auf für auch dem sie wir ich als wird dass",
    "el": "και το να του η της με που στο για τα είναι την από οι δεν τον θα στην σε",
    "en": "the of and to in is that for it was on with as are be this by at you have we not but from they",
    "es": "de la que el en y los se del las un por con una para es no lo como más pero sus al está muy",
    "et": "ja on ei et ta see oli kui ka oma mis aga seda kes või nad siis me olid mida",
    "fi": "ja on ei että se oli hän en mutta kun niin myös ovat sen mitä tai ole tämä joka sitä",
    "fr": "de la le et les des en un du une que est pour qui dans a par plus pas au sur ne ce nous vous il sont avec",
    "hr": "i je u na se da su za od s kao ali iz koji to što bi o nije sam će ili samo tako",
    "hu": "a az és hogy nem is egy ez meg de ha volt van csak már mint azt vagy el minden",
    "it": "di e il la che in un a è per una sono non del della le i con si da come ma più anche gli nel",
    "lt": "ir yra į kad su tai iš ne apie bet kaip jo buvo už nuo tik po ar kuris savo",
    "lv": "un ir ka no uz ar par tas nav bet kā bija vai kas lai es pēc arī gan viņš",
    "mt": "il li u ta f tal fil minn ma mill hija dan din kien huwa jew dwar għal biex",
    "nl": "de het een van en in is dat op te zijn met voor niet die aan er om ook als maar ze bij we",
    "pl": "i w na z się nie do to że jest o jak za ale po od przez co są był tak tylko oraz który",
    "pt": "de a o que e do da em um para com não uma os no se na por mais as dos como mas foi ao são",
    "ro": "și în de la a cu pe că din nu este o care pentru un mai sau ce au se fi lui sunt",
    "ru": "и в не на что с он как по это она но к у из за от то же мы бы так его было",
    "sk": "a sa na je že v to s z do o aj ako by ale sú som bolo alebo pre ktorý už keď tak",
    "sl": "in je v na se da so za ki z ne pa po tudi kot bi od ali še le to iz sem",
    "sv": "och att det i som en på är av för med den till inte har de ett om var jag vi men så",
    "uk": "і в не на що з він як до це та за у але вона про від так його ми було є або",
}
_KNOWN = {language: frozenset(words.split()) for language, words in _WORDS.items()}
_LETTERS = re.compile(r"[^\W\d_]+")
_LEAST = 8
"""Little words from which a language is told."""
_SHARE, _LEAD = 0.15, 1.15
"""Of the text's words, those that must be the language's; and how many times those of the next one."""


def language_of(words: Iterable[str], among: Set[str]) -> str | None:
    """The language (ISO 639-1) that `words` are written in, of those in `among`; None when nothing tells."""
    counts = Counter(part for word in words for part in _LETTERS.findall(word.lower()))
    scores = {language: sum(counts[word] for word in _KNOWN[language]) for language in _KNOWN.keys() & among}
    first, second = [*sorted(scores.items(), key=lambda one: -one[1]), ("", 0), ("", 0)][:2]
    if first[1] < _LEAST or first[1] < _SHARE * counts.total() or first[1] < _LEAD * second[1]:
        return None
    return first[0]
