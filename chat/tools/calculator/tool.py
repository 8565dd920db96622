"""The tool `calculatrice`."""

from __future__ import annotations

from pydantic import Field

from chat.tools.calculator.amount import written
from chat.tools.calculator.parser import calculate
from chat.tools.tool import Arguments, Call, Tool
from common.messages import _
from common.web import context


class CalculatorArguments(Arguments):
    expression: str = Field(description="Ex. : (12,5 + 3) * 4 ; racine(2) ; 15 % de 240 ; max(3; 7)")


def _run(arguments: CalculatorArguments, _call: Call) -> str:
    return written(calculate(arguments.expression), point="." if context.language.get() == "en" else ",")


CALCULATOR = Tool(
    name="calculatrice",
    title=_("Calculatrice"),
    description=_(
        "Calcule exactement une expression : + - * / ^ %, parenthèses, racine, min, max, arrondi, ln, pgcd… "
        "Virgule ou point décimal ; les arguments d'une fonction sont séparés par « ; »."
    ),
    arguments=CalculatorArguments,
    run=_run,
)
