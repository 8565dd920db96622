"""The language of a text, where the model does not say which it heard."""

from __future__ import annotations

import pytest

from asr.engines.letters import EUROPEAN
from asr.transcription.written import language_of

TEXTS = {
    "bg": (
        "Срещата ще започне в десет часа и ще говорим за новия проект. Той каза, че не е сигурен, но това е нещо,"
        " което трябва да се направи от нас до петък, както и да се види как ще стане с бюджета."
    ),
    "cs": (
        "Dnes jsme se sešli, protože je potřeba rozhodnout o rozpočtu. Myslím, že to není problém, ale musíme se "
        "na to podívat. Petr řekl, že by to bylo také možné, když už jsou všechny údaje na stole, tak jako "
        "minule."
    ),
    "da": (
        "Vi skal i dag tale om det nye projekt, og jeg tror, at det er en god idé. Der er ikke så meget tid, men "
        "vi kan godt nå det, hvis de andre også er med på det. Han sagde, at det blev sendt til dem af os."
    ),
    "de": (
        "Wir haben heute über das neue Projekt gesprochen, und ich denke, dass es eine gute Idee ist. Die Frage "
        "ist nicht, ob wir es machen, sondern wie wir es mit dem Budget und der Zeit schaffen. Das ist auch für "
        "die anderen so."
    ),
    "el": (
        "Σήμερα θα μιλήσουμε για το νέο έργο και για τον προϋπολογισμό. Νομίζω ότι δεν είναι εύκολο να το κάνουμε"
        " από τώρα, αλλά η ομάδα είναι έτοιμη και θα το δούμε στην επόμενη συνάντηση με τους πελάτες που το "
        "ζήτησαν."
    ),
    "en": (
        "We have to talk about the budget today, and I think that it is not a problem. The question is what they "
        "will do with it when the project is over. You said that it was on the list, but we have not seen it from"
        " them."
    ),
    "es": (
        "Hoy vamos a hablar de la nueva aplicación y de los plazos. Creo que no es un problema, pero hay que ver "
        "lo que dicen los clientes. El equipo está listo para empezar y las pruebas se harán con la ayuda de una "
        "empresa."
    ),
    "et": (
        "Täna räägime uuest projektist ja ma arvan, et see on hea mõte. Ta ütles, et aega ei ole palju, aga kui "
        "me kohe alustame, siis see on võimalik. Meil oli ka küsimus, kes seda teeb või mis siis saab."
    ),
    "fi": (
        "Tänään puhumme uudesta projektista ja se on minusta hyvä ajatus. Hän sanoi, että aikaa ei ole paljon, "
        "mutta kun aloitamme nyt, niin se on mahdollista. Mitä sitten tapahtuu, jos ne eivät ole valmiina, on "
        "myös kysymys."
    ),
    "fr": (
        "Nous avons parlé du budget et des délais, et je pense que ce n'est pas un problème. Il faut voir avec "
        "les équipes qui sont sur le projet. La question est de savoir si nous avons une réponse pour la semaine "
        "prochaine."
    ),
    "hr": (
        "Danas ćemo razgovarati o novom projektu i mislim da je to dobra ideja. On je rekao da nema puno vremena,"
        " ali ako krenemo sad, to će biti gotovo za tjedan dana. Što se tiče novca, to nije problem jer su svi "
        "za."
    ),
    "hu": (
        "Ma az új projektről beszélünk, és azt gondolom, hogy ez jó ötlet. Azt mondta, hogy nincs sok idő, de ha "
        "most elkezdjük, akkor meg lehet csinálni. Volt már egy ilyen, és az is csak egy hét volt, vagy talán "
        "nem."
    ),
    "it": (
        "Oggi parliamo del nuovo progetto e dei tempi. Penso che non sia un problema, ma bisogna vedere con i "
        "clienti. La squadra è pronta per una prova e si può fare anche con le persone che sono in un altro "
        "ufficio, come ha detto."
    ),
    "lt": (
        "Šiandien kalbame apie naują projektą ir manau, kad tai yra gera mintis. Jis sakė, kad laiko nėra daug, "
        "bet mes galime tai padaryti iki penktadienio. Kaip ir buvo, už tai atsako tik jie, o ne mes, ir tai yra "
        "iš esmės viskas."
    ),
    "lv": (
        "Šodien runājam par jauno projektu, un es domāju, ka tas ir labi. Viņš teica, ka laika nav daudz, bet mēs"
        " to varam izdarīt ar viņu palīdzību. Tas bija arī pēc sapulces, un kas to darīs, vai nav skaidrs, lai "
        "gan ir nauda."
    ),
    "nl": (
        "We praten vandaag over het nieuwe project en ik denk dat het een goed idee is. Er is niet veel tijd, "
        "maar als we er nu aan beginnen, dan is het voor de zomer klaar. De klant zei ook dat ze met een andere "
        "groep bezig zijn."
    ),
    "pl": (
        "Dzisiaj rozmawiamy o nowym projekcie i myślę, że to jest dobry pomysł. Powiedział, że nie ma dużo czasu,"
        " ale jak zaczniemy od razu, to się uda. Co do pieniędzy, to są na to środki, tylko trzeba to zrobić "
        "przez dział."
    ),
    "pt": (
        "Hoje vamos falar do novo projeto e dos prazos. Acho que não é um problema, mas temos de ver com os "
        "clientes o que eles querem. A equipa está pronta para uma reunião e as contas foram feitas por uma "
        "empresa no Porto."
    ),
    "ro": (
        "Astăzi vorbim despre noul proiect și cred că este o idee bună. A spus că nu este mult timp, dar se poate"
        " face cu ajutorul lor. În ceea ce privește banii, nu sunt probleme pentru că au fost aprobați de la "
        "început pe listă."
    ),
    "ru": (
        "Сегодня мы говорим о новом проекте, и я думаю, что это хорошая мысль. Он сказал, что времени не много, "
        "но если мы начнём сейчас, то всё успеем. Что касается денег, то это не вопрос, как и было сказано на "
        "встрече."
    ),
    "sk": (
        "Dnes sme sa stretli, lebo je potrebné rozhodnúť o rozpočte. Myslím, že to nie je problém, ale musíme sa "
        "na to pozrieť. Peter povedal, že by to bolo aj možné, keď už sú všetky údaje na stole, tak ako minule "
        "pre nich."
    ),
    "sl": (
        "Danes govorimo o novem projektu in mislim, da je to dobra ideja. Rekel je, da ni veliko časa, a če "
        "začnemo zdaj, bo to tudi končano. Kar se tiče denarja, pa so vsi za, ki so bili na sestanku, in ne bi "
        "čakali še en teden."
    ),
    "sv": (
        "Vi ska i dag tala om det nya projektet, och jag tror att det är en bra idé. Det finns inte så mycket "
        "tid, men om vi börjar nu så är det klart till sommaren. Han sade att de har skickat en fråga som vi inte"
        " har svarat på."
    ),
    "uk": (
        "Сьогодні ми говоримо про новий проєкт, і я думаю, що це добра думка. Він сказав, що часу не багато, але "
        "якщо ми почнемо зараз, то це буде зроблено до літа. Що до грошей, то це не питання, як було сказано на "
        "зустрічі."
    ),
}


@pytest.mark.parametrize("language", sorted(TEXTS))
def test_a_few_sentences_tell_their_language(language: str) -> None:
    assert language_of(TEXTS[language].split(), EUROPEAN) == language


@pytest.mark.parametrize("words", ["", "Bonjour Paul", "1 2 3 4 5 6 7 8 9", " ".join(["kwyjibo"] * 50)])
def test_too_little_tells_nothing(words: str) -> None:
    assert language_of(words.split(), EUROPEAN) is None


def test_a_language_that_the_model_does_not_know_is_not_told() -> None:
    assert language_of(TEXTS["en"].split(), {"fr", "de"}) is None
