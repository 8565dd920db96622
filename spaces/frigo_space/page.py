"""The page: a conversation that draws, and a small transcription."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr

from chat.diagrams.kinds.registry import KINDS
from common.errors import ApiError
from frigo_space.drawing import Reply, Studio, Work
from frigo_space.hardware import Hardware
from frigo_space.services import LocalPeer

EXAMPLES = [
    "Le client passe une commande. Le vendeur vérifie le stock. Si le produit manque, il prévient le client ; "
    "sinon il prépare le colis, puis le transporteur livre.",
    json.dumps(
        {
            "1. Utilisateur Cible": "Les petites équipes qui se réunissent souvent.",
            "2. Description du Produit": "Un outil qui transcrit la réunion et rédige le compte rendu.",
            "3. Fonctionnalités Clés": ["Transcrire l'enregistrement", "Reconnaître les voix", "Dessiner le processus"],
            "4. Enjeux et Indicateurs": "Diviser par deux le temps passé à rédiger.",
            "Summary": "De la réunion au compte rendu, sans rien envoyer ailleurs.",
        },
        ensure_ascii=False,
        indent=1,
    ),
]
NAMES = {
    "flowchart": "Organigramme", "sequence": "Séquence", "class": "Classes", "state": "États",
    "er": "Entité-association", "gantt": "Gantt", "mindmap": "Carte mentale", "timeline": "Frise",
    "journey": "Parcours", "pie": "Circulaire",
}  # fmt: skip
_FIRST = "*Décrivez un processus, ou collez un Product Vision Board en JSON : le diagramme s'affiche ici.*"
_AUDIO_NOTE = "Trois minutes au plus ; le modèle livré ne comprend que l'anglais."


def build(studio: Studio, asr: LocalPeer, hardware: Hardware, model: str) -> gr.Blocks:
    """The page over what draws and what transcribes."""
    with gr.Blocks(title="Frigo : des mots aux diagrammes") as page:
        gr.Markdown(
            "# Frigo\nUn texte, un compte rendu ou un *Product Vision Board* devient un diagramme Mermaid **valide**, "
            f"qui se retouche en le disant.\n\nModèle : `{model}` · matériel : {hardware.described()}"
        )
        with gr.Tab("Diagramme"):
            text = _drawing(studio)
        with gr.Tab("Transcription"):
            _transcription(asr, text)
    return page


def _drawing(studio: Studio) -> gr.Textbox:
    work = gr.State(Work())
    with gr.Row():
        with gr.Column(scale=2):
            talk = gr.Chatbot(label="Conversation", height=360)
            text = gr.Textbox(
                label="Votre message",
                placeholder="Décrivez un processus… puis, par exemple : « plus horizontal », « renomme … en … »",
                lines=4,
            )
            with gr.Row():
                kind = gr.Dropdown(
                    [(NAMES.get(name, name), name) for name in KINDS], value="flowchart", label="Type du diagramme"
                )
                direction = gr.Radio([("Vertical", "TD"), ("Horizontal", "LR")], value="TD", label="Sens")
            with gr.Row():
                send = gr.Button("Envoyer", variant="primary")
                again = gr.Button("Nouveau diagramme")
            gr.Examples(EXAMPLES, text, label="Exemples")
        with gr.Column(scale=3):
            picture = gr.Markdown(_FIRST, label="Diagramme", min_height=320, container=True)
            code = gr.Code(label="Mermaid", language=None, interactive=False)
            file = gr.DownloadButton("Télécharger le .mmd", interactive=False)

    def answer(message: str, history: list[Any], before: Work, wanted: str, sense: Any) -> tuple[Any, ...]:
        reply: Reply = studio.reply(message, before, kind=wanted, direction=sense)
        history = [*history, {"role": "user", "content": message}, {"role": "assistant", "content": reply.said}]
        return "", history, reply.work, *_shown(reply.work)

    def clear() -> tuple[Any, ...]:
        return "", [], Work(), *_shown(Work())

    outputs = [text, talk, work, picture, code, file]
    for asked in (send.click, text.submit):
        asked(answer, [text, talk, work, kind, direction], outputs, concurrency_limit=2, api_name=False)
    again.click(clear, None, outputs, api_name=False)
    return text


def _shown(work: Work) -> tuple[Any, Any, Any]:
    if not work.mermaid:
        return _FIRST, "", gr.DownloadButton(value=None, interactive=False)
    path = Path(gr.utils.get_upload_folder() or "/tmp") / "frigo"  # noqa: S108  Gradio's own folder of passing files
    path.mkdir(parents=True, exist_ok=True)
    file = path / f"diagramme-{abs(hash(work.mermaid)):x}.mmd"
    file.write_text(work.mermaid, encoding="utf-8")
    return f"```mermaid\n{work.mermaid}\n```", work.mermaid, gr.DownloadButton(value=str(file), interactive=True)


def _transcription(asr: LocalPeer, text: gr.Textbox) -> None:
    gr.Markdown(_AUDIO_NOTE)
    sound = gr.Audio(type="filepath", label="Enregistrement", sources=["upload", "microphone"])
    run = gr.Button("Transcrire", variant="primary")
    words = gr.Textbox(label="Texte", lines=8, interactive=True)
    note = gr.Markdown()
    use = gr.Button("En faire un diagramme")

    def transcribe(path: str | None) -> tuple[str, str]:
        if not path:
            return "", "Choisissez d'abord un enregistrement."
        try:
            with Path(path).open("rb") as file:
                form = {"file": (file, Path(path).name), "language": "en"}
                found = asr.request("POST", "/api/audio/transcribe", data=form).raise_for_status().json()
        except ApiError as error:
            return "", str(error.message)
        notes = [f"{found['duration']:.0f} s, modèle `{found['model']}`.", *found["warnings"]]
        return found["text"], "\n\n".join(notes)

    run.click(transcribe, sound, [words, note], concurrency_limit=1, api_name=False)
    use.click(lambda said: said, words, text, api_name=False)
