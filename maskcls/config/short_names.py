"""Settings named without their section on the command line: `epochs=3` is `train.epochs=3`."""

from __future__ import annotations

from maskcls.schema import Config
from maskcls.schema.options import keys_by_name, option_sections


def whole_key(name: str, value: object) -> str:
    """Return the dotted key that a name without a section means with this value; the name itself if that is not one.

    Of several settings with the name, such as average.kind and mix.kind, or of a section and a setting, such as heads
    and model.heads, the setting counts that alone takes the word.

    >>> whole_key("epochs", 3), whole_key("kind", "cutmix"), whole_key("patience", 3), whole_key("seed", 1)
    ('train.epochs', 'mix.kind', 'patience', 'seed')
    >>> whole_key("heads", "joint"), whole_key("heads", {})
    ('model.heads', 'heads')
    """
    keys = keys_by_name().get(name, ())
    if "." in name or name in keys:
        return name
    if len(keys) > 1 or name in Config.model_fields:
        choices = {option.key: option.choices for section in option_sections() for option in section.options}
        keys = tuple(key for key in keys if value in choices[key])
    return keys[0] if len(keys) == 1 else name
