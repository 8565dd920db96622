"""What is answered: a diagram that Mermaid accepts, or an error that says why not."""

from __future__ import annotations

from dataclasses import dataclass, field

from chat.diagrams.graph import Direction
from chat.diagrams.kinds.registry import KINDS, WRITTEN
from chat.diagrams.labels import Drawing
from chat.diagrams.parser import Verdict
from chat.diagrams.source import locate
from chat.llm import Model
from common.errors import ApiError
from common.messages import Text, _

RENDERED_CHARS = 50_000  # Mermaid's default maxTextSize: pages draw nothing above it


@dataclass
class Diagram:
    """A diagram: `repairs` counts the model's refused answers, `warnings` what the reader should know.

    `graph` is None where the kind has no schema, or no model was needed; `model` is None then too; `text` is
    the text that sources refer to, when it is not the one that was given.
    """

    mermaid: str
    valid: bool | None
    kind: str
    graph: Drawing | None = None
    model: str | None = None
    repairs: int = 0
    warnings: list[Text] = field(default_factory=list)
    text: str | None = None

    def judged(self, verdict: Verdict) -> Diagram:
        """This diagram with the parser's verdict and what it calls for. Raises `ApiError` 422 on a refusal."""
        if verdict.valid is False:
            raise refused(verdict)
        self.valid = verdict.valid
        if verdict.unknown is not None:
            reason = verdict.unknown
            self.warnings.append(_("Validité inconnue, le diagramme n'a pas été vérifié : %(reason)s", reason=reason))
        if len(self.mermaid) > RENDERED_CHARS:
            self.warnings.append(_("Ce diagramme dépasse 50 000 caractères : Mermaid ne l'affiche pas sans réglage."))
        return self


def finish(drawing: Drawing, kind: str, direction: Direction | None, text: str) -> Diagram:
    """A drawing with the source of each of its items in `text`, as Mermaid; not judged yet."""
    items = drawing.items()
    for item, source in zip(items, locate([item.label for item in items], text), strict=True):
        item.source = source
    return Diagram(KINDS[kind].serialize(drawing, direction), None, kind, drawing)


def undirected(kind: str) -> Text:
    """The warning of a direction that a kind does not have."""
    return _("La direction ne s'applique pas au type « %(kind)s » : elle est laissée de côté.", kind=kind)


def unsupported_kind(kind: str, param: str) -> ApiError:
    """The 400 that says which kinds there are."""
    kinds = ", ".join([*KINDS, *WRITTEN])
    message = _("Type de diagramme inconnu : « %(kind)s » ; types acceptés : %(kinds)s.", kind=kind, kinds=kinds)
    return ApiError(400, "unsupported_kind", message, param)


def only_flowcharts(model: Model, kind: str) -> ApiError:
    """The 400 of the embedded model, which knows one kind."""
    message = _(
        "Le modèle embarqué %(model)s ne dessine que des organigrammes (flowchart) : "
        "choisissez un autre modèle pour « %(kind)s ».",
        model=model.id,
        kind=kind,
    )
    return ApiError(400, "unsupported_kind", message, "kind")


def cannot_refine(model: Model) -> ApiError:
    """The 400 of the embedded model, which reads no diagram."""
    message = _(
        "Le modèle embarqué %(model)s ne sait pas modifier un diagramme : choisissez un autre modèle. "
        "Sans lui, on peut déjà changer la direction (« plus vertical »), renommer (« renomme « A » en « B » »), "
        "retirer les couleurs et, dans un organigramme de Frigo, ajouter ou supprimer une étape "
        "(« ajoute « B » après « A » », « supprime « A » »), ajouter une validation ou simplifier.",
        model=model.id,
    )
    return ApiError(400, "unsupported_parameter", message, "instruction")


def refused(verdict: Verdict, param: str | None = None) -> ApiError:
    """The 422 with the parser's words."""
    problem = verdict.problem.message if verdict.problem else ""
    message = _("Mermaid refuse ce diagramme : %(problem)s", problem=problem)
    line = verdict.problem.line if verdict.problem else None
    return ApiError(422, "diagram_invalid", message, param, extra={"parser": problem, "line": line})


def no_step(param: str = "text") -> ApiError:
    """The 422 of a text that describes nothing."""
    message = _(
        "Aucune étape n'a été trouvée dans ce texte. Décrivez qui fait quoi, dans l'ordre : "
        "« La cliente envoie sa demande. L'agent vérifie le dossier. Si le dossier est complet, il le valide. »"
    )
    return ApiError(422, "diagram_invalid", message, param)


def too_long(model: Model) -> ApiError:
    """The 400 of a text that no part of which fits."""
    message = _("Ce texte ne tient pas dans le contexte du modèle %(model)s.", model=model.id)
    return ApiError(400, "context_length_exceeded", message, "text")
