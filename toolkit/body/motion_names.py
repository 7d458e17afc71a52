"""Which joint of another program's skeleton is which of ours, told by its name."""

import re

import numpy as np

from toolkit.body.model import JOINT_NAMES

INDEX = {name: j for j, name in enumerate(JOINT_NAMES)}
# Names in lower case without prefixes, signs and "left"/"right"; CMU, Mixamo, MakeHuman, SMPL.
CENTRE = {"pelvis": "hips hip pelvis root", "neck": "neck neck01", "head": "head"}
SIDE = {
    "hip": "upleg thigh hip upperleg upperleg01",
    "knee": "leg shin knee lowerleg lowerleg01 calf",
    "ankle": "foot ankle",
    "foot": "toebase toe toes ball",
    "collar": "shoulder collar clavicle",
    "shoulder": "arm upperarm shoulderjoint upperarm01",
    "elbow": "forearm elbow lowerarm lowerarm01",
    "wrist": "hand wrist",
}
SPINE = ("lowerback", "spine", "spine1", "spine2", "spine3", "chest", "upperchest", "abdomen")


def match_names(names: tuple[str, ...]) -> dict[int, int]:
    """Our joint -> the source's, by name; joints without a partner are left out."""
    found, spines = {}, []
    words = {_split_side(name)[1] for name in names}
    # "shoulder" is the collar bone in CMU's files and the joint of the arm in those that also have
    # a collar; "foot" is the ankle, but the ball of the foot in those that also have an ankle
    other = {"shoulder": "shoulder"} if words & {"collar", "clavicle"} else {}
    other |= {"foot": "foot"} if "ankle" in words else {}
    for row, name in enumerate(names):
        side, word = _split_side(name)
        if side == "" and word in SPINE:
            spines.append(row)
            continue
        exact = [f"{side}_{other[word]}"] if side and word in other else None
        for ours in exact or _candidates(side, word):
            found.setdefault(INDEX[ours], row)
    ours = [INDEX[f"spine{i}"] for i in (1, 2, 3)]
    if spines:  # the last one carries the arms, as our spine3 does; more than three are skipped
        pick = np.linspace(0, len(spines) - 1, min(3, len(spines))).round().astype(int)
        found |= dict(zip(ours[-len(pick) :], [spines[p] for p in pick], strict=True))
    return found


def _split_side(name: str) -> tuple[str, str]:
    """Side ("left", "right" or "") and the rest of a joint's name, plain: mixamorig:LeftUpLeg."""
    word = re.sub(r"[^a-z0-9]", "", name.rsplit(":", 1)[-1].lower().replace("mixamorig", ""))
    for side in ("left", "right"):
        if side in word:
            return side, word.replace(side, "")
    match = re.search(r"(?:^|[._ ])([LR])(?:$|[._ ])|^([lr])(?=[A-Z])", name)
    if match:
        letter = (match[1] or match[2]).lower()
        plain = re.sub(
            r"[^a-z0-9]", "", (name[: match.start()] + " " + name[match.end() :]).lower()
        )
        return ("left" if letter == "l" else "right"), plain
    return "", word


def _candidates(side: str, word: str) -> list[str]:
    if not side:
        return [ours for ours, words in CENTRE.items() if word in words.split()]
    if finger := re.fullmatch(r"(?:hand)?(index|middle|pinky|ring|thumb)0?([123])", word):
        return [f"{side}_{finger[1]}{finger[2]}"]
    return [f"{side}_{ours}" for ours, words in SIDE.items() if word in words.split()]
