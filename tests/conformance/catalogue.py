"""One recipe or more for every public layer, and for every argument a value other than the first recipe's."""

from tests.conformance.recipes import bottom, dense, embedding, fields, heads, sequence, sharing

_FAMILIES = (embedding, fields, dense, sequence, bottom, sharing, heads)

RECIPES = tuple(recipe for family in _FAMILIES for recipe in family.RECIPES)
ALTERNATIVES = {layer: values for family in _FAMILIES for layer, values in family.ALTERNATIVES.items()}
