"""One recipe or more for every public layer, and for every argument a value other than the first recipe's."""

from dataclasses import replace

from tests.conformance.recipes import bottom, dense, embedding, fields, heads, sequence, sharing

_FAMILIES = (embedding, fields, dense, sequence, bottom, sharing, heads)

_ALL = tuple(recipe for family in _FAMILIES for recipe in family.RECIPES)
_FIRST = {recipe.layer_class: index for index, recipe in reversed(list(enumerate(_ALL)))}
RECIPES = tuple(replace(r, lowered_only=_FIRST[r.layer_class] != index) for index, r in enumerate(_ALL))
ALTERNATIVES = {layer: values for family in _FAMILIES for layer, values in family.ALTERNATIVES.items()}
