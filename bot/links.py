"""Takes addresses out of texts (pure): what a document, a person or a model wrote leads nowhere but to cited pages.

An address in a message is a way out for what stands in it: a platform may fetch it for a preview before anybody clicks.
"""

from collections.abc import Collection

import regex

REMOVED = "(link removed)"

_COLON = r"(?:\\?:|&\#0*58;|&\#x0*3a;|&colon;)"  # escaped or as an entity, Markdown turns it back into the character
_SLASH = r"(?:\\?/|&\#0*47;|&\#x0*2f;|&sol;)"
_SCHEME = r"(?<![a-z0-9])[a-z][a-z0-9+.-]{1,30}"
_SCHEMES_WITHOUT_SLASHES = (
    r"(?<![a-z0-9])(?:mailto|tel|sms|callto|javascript|vbscript|data|file|blob|https?|ftp|slack|discord|skype|facetime"
    r"|xmpp|magnet|geo)"
)
_TOP_LEVEL = (
    r"(?:com|net|org|io|gg|me|co|dev|app|ai|ly|gl|gd|to|in|tv|us|uk|de|eu|fr|ru|cn|be|cc|ws|sh|su|link|xyz|info|biz|site"
    r"|online|top|click|shop|club|live|page|cloud|zip|mov|example|test)"
)
"""A name under these that a path follows is an address without its scheme: discord.gg/x is, node.js/express is not."""
_LABEL = r"(?P<label>(?:[^\[\]\\]|\\.|\[[^\[\]]{0,300}\](?:\([^()]{0,1000}\))?){0,500}+)"
_TARGET = r"(?P<target>(?:[^()\\]|\\.|\((?:[^()\\]|\\.){0,500}\)){0,2000}+)"

_WITH_SCHEME = rf"(?:https?{_COLON}{_SLASH}{{2}}|{_SCHEME}{_COLON}{_SLASH}{{2}}|{_SCHEMES_WITHOUT_SLASHES}{_COLON})"
_HOST_ALONE = rf"(?<![\w@.-])(?:[\w-]+\.)+{_TOP_LEVEL}(?:{_COLON}\d+)?(?:{_SLASH}|\?)"
_ADDRESS = regex.compile(
    rf"""
      !?\[{_LABEL}\]\({_TARGET}\)                                                       # [label](address "title"), images
    | (?P<definition>^[ >]*\[[^\[\]\n]+\]:[ \t]*+\n?+[ >\t]*+)\S+(?:[ \t]+["'(].*)?$  # [label]: address, used by [label]
    | <(?P<angled>{_SCHEME}{_COLON}[^\s<>|]+|www\.[^\s<>|]+)(?:\|(?P<name>[^<>\n]*))?>  # <address>, Slack's <address|name>
    | (?P<bare>(?:{_WITH_SCHEME}|(?<![\w@.-])www\.|(?<![\w/:])//(?=[\w-]+\.\w)|{_HOST_ALONE})[^\s<>|]+)
    | (?P<joint>\]\()                                                                   # of labels nested too deeply
    """,
    regex.I | regex.X | regex.M,
)
_AFTER_ADDRESS = ".,;:!?)]}'\"*_~`。，"


def without_links(text: str, allowed: Collection[str] = ()) -> str:
    """The text with REMOVED for every address but those allowed, to the letter; the labels of links stay."""
    return _ADDRESS.sub(lambda found: _replacement(found, allowed), text)


def _replacement(found: regex.Match[str], allowed: Collection[str]) -> str:
    if found["target"] is not None:
        return _link(without_links(found["label"], allowed), found["target"], allowed)
    if found["definition"]:
        return found["definition"] + REMOVED
    if found["angled"]:
        return found[0] if found["angled"] in allowed and not found["name"] else _removed(found["name"] or "")
    if found["bare"]:
        return _bare(found["bare"], allowed)
    return "] ("


def _link(label: str, target: str, allowed: Collection[str]) -> str:
    address = (target.split() or [""])[0].removeprefix("<").removesuffix(">")
    return f"[{label}]({address})" if address in allowed else _removed(label)


def _bare(text: str, allowed: Collection[str]) -> str:
    """Punctuation after an address belongs to the sentence, unless the address that is allowed ends with it."""
    end = len(text)
    while text[:end] not in allowed and text[end - 1] in _AFTER_ADDRESS and end > 1:
        end -= 1
    return text if text[:end] in allowed else REMOVED + text[end:]


def _removed(label: str) -> str:
    return label if label.endswith(REMOVED) else f"{label} {REMOVED}".lstrip()
